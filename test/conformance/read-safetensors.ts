/** A file of named tensors, as arrays over its bytes, and its metadata with JSON values parsed. */
export interface Safetensors {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly tensors: Readonly<Record<string, SafeTensor>>
}
export interface SafeTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array | Int32Array
}

/** Reads a safetensors file: 8 bytes of header length, a JSON header, the data. F32 and I32 only; others throw. */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerBytes = Number(view.getBigUint64(0, true))
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)),
  ) as Record<string, Record<string, unknown>>
  const tensors = Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => {
      const {
        dtype,
        shape,
        data_offsets: offsets,
      } = entry as { dtype: string; shape: number[]; data_offsets: number[] }
      const [from, to] = offsets as [number, number]
      // a copy, because the data need not start at a multiple of 4 (and Buffer.slice makes none)
      const data = new Uint8Array(bytes.subarray(8 + headerBytes + from, 8 + headerBytes + to)).buffer
      if (dtype !== 'F32' && dtype !== 'I32') throw new Error(`readSafetensors: ${name} is ${dtype}, not F32 or I32`)
      return [name, { shape, data: dtype === 'F32' ? new Float32Array(data) : new Int32Array(data) }]
    }),
  )
  const parsed = Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, parseValue(value as string)]))
  return { metadata: parsed, tensors }
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
