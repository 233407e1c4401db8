import { FoveaError } from '../../tile/index.ts'
import { safetensorsDTypes } from './safetensors.ts'
import type { SizedDType } from './tensor-table.ts'
import { tensorBytes } from './tensor-table.ts'
import type { ByteSink } from './write-aside.ts'
import { writeAside } from './write-aside.ts'

/** A tensor to be written: its bytes are asked for when it is its turn, so that one at a time is in memory. */
export interface TensorToWrite {
  readonly name: string
  readonly dtype: SizedDType
  /** outermost dimension first */
  readonly shape: readonly number[]
  read(): Promise<Uint8Array>
}

/**
 * Writes a safetensors file to a path (aside, then renamed: on failure the old file stays) or into a sink, tensors in the
 * order given. Throws `argument` naming the tensor: a name twice, a dtype that the format has not (quantised ones), bytes
 * that do not fit the shape; `io` naming the path.
 */
export async function writeSafetensors(
  target: string | ByteSink,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  if (typeof target === 'string') return writeAside(target, (sink) => writeSafetensors(sink, tensors, metadata))
  const names = new Map([...safetensorsDTypes].map(([name, dtype]) => [dtype, name]))
  const header = new Map<string, unknown>(Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [])
  const sizes: number[] = []
  let end = 0
  for (const { name, dtype, shape } of tensors) {
    const bytes = tensorBytes(dtype, shape)
    const dtypeName = names.get(dtype)
    if (header.has(name) || name === '__metadata__')
      throw new FoveaError('argument', 'writeSafetensors', `the name ${name} is there twice`)
    if (dtypeName === undefined || bytes === undefined)
      throw new FoveaError('argument', 'writeSafetensors', `${name}: ${dtype} [${shape.join(', ')}] cannot be written`)
    header.set(name, { dtype: dtypeName, shape, data_offsets: [end, end + bytes] })
    sizes.push(bytes)
    end += bytes
  }
  await target.write(headerBytes(header))
  for (const [i, tensor] of tensors.entries()) {
    const bytes = await tensor.read()
    if (bytes.byteLength !== sizes[i])
      throw new FoveaError(
        'argument',
        'writeSafetensors',
        `${tensor.name}: ${tensor.dtype} [${tensor.shape.join(', ')}] takes ${sizes[i]} bytes, got ${bytes.byteLength}`,
      )
    await target.write(bytes)
  }
}

/** Length and JSON, filled up with spaces so that the data begins at a multiple of 8. */
function headerBytes(header: ReadonlyMap<string, unknown>): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  const length = Math.ceil(json.byteLength / 8) * 8
  const bytes = new Uint8Array(8 + length).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(json, 8)
  return bytes
}
