import type { Precision } from '../interpret/evaluate.ts'
import { interpret } from '../interpret/interpret.ts'
import type { TensorBinding } from '../interpret/tensor-binding.ts'
import { type StorageDType, storageBytes } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'
import type { TensorSpec } from '../ir/tensor-spec.ts'
import type { Backend, BoundArgument } from './backend.ts'
import type { DeviceTime } from './device.ts'
import type { InterpretOptions } from './device-options.ts'
import { decoder, encoder, storedArray } from './host-data.ts'

type Block = ArrayBuffer

/** The interpreter as a device: tensors are stored in their dtype, kernels run at once in the calling thread. */
export function interpretBackend(options: InterpretOptions = {}): Backend<Block> {
  const precision: Precision = options.precision ?? 'float64'
  return {
    kind: 'interpret',
    info: {
      name: `interpreter, ${precision === 'real' ? 'rounded to the real dtypes' : 'float64'}`,
      tier: null,
      threads: 1,
      simd: null,
      limits: {},
      features: [],
      notes: [],
    },
    spareBytes: 0,
    assertUsable: () => {},
    allocate: (where, bytes) => {
      try {
        return new ArrayBuffer(Math.ceil(bytes / 8) * 8)
      } catch (cause) {
        throw new FoveaError('memory', where, `no ${bytes} bytes left`, { cause })
      }
    },
    checkSize: () => {},
    free: () => {},
    write: (_where, block, byteOffset, bytes) => new Uint8Array(block).set(bytes, byteOffset),
    read: async (_where, block, byteOffset, byteLength) =>
      new Uint8Array(block.slice(byteOffset, byteOffset + byteLength)),
    rehearse: () => {},
    check: (_where, { program, args }) => void toArguments(program, args),
    run: (_where, { program, grid, args }) => interpret(program, toArguments(program, args), grid, precision),
    record: (_where, calls) => {
      const bound = calls.map(({ program, grid, args }) => ({ program, grid, args: toArguments(program, args) }))
      return {
        run: () => {
          for (const { program, grid, args } of bound) interpret(program, args, grid, precision)
        },
        prepare: async () => {},
        dispose: () => {},
      }
    },
    prepare: async () => {},
    sync: async () => {},
    time: timeByWall,
    dispose: () => {},
  }
}

async function timeByWall(work: () => void | Promise<void>): Promise<DeviceTime> {
  const start = performance.now()
  await work()
  return { nanoseconds: (performance.now() - start) * 1e6, clock: 'wall' }
}

function toArguments(program: Program, args: readonly BoundArgument<Block>[]) {
  const tensors: Record<string, TensorBinding> = {}
  const scalars: Record<string, number> = {}
  for (const argument of args) {
    const { name } = argument.param
    if (argument.kind === 'scalar')
      scalars[name] = argument.param.dtype === 'f32' ? Math.fround(argument.value) : argument.value
    else tensors[name] = bindStored(argument.block, argument.spec, argument.spec.dtype)
  }
  if (Object.keys(tensors).length + Object.keys(scalars).length !== program.params.length)
    throw new FoveaError('argument', 'device.run', `${program.name}: two parameters have the same name`)
  return { tensors, scalars }
}

function bindStored(block: Block, spec: TensorSpec, dtype: StorageDType): TensorBinding {
  const stored = storedArray(dtype, block, 0, block.byteLength / storageBytes[dtype])
  const [decode, encode] = [decoder(dtype, stored.length), encoder(dtype)]
  return {
    spec,
    get: (index) => decode(stored[index] as number),
    set: (index, value) => {
      stored[index] = encode(value)
    },
  }
}
