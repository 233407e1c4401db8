import { FoveaError } from '../ir/error.ts'
import type { ScalarParam, TensorParam } from '../ir/node.ts'
import type { Kernel } from '../tile/kernel.ts'
import { BackedTensor } from './backed-tensor.ts'
import type { BoundArgument, MemoryBlock } from './backend.ts'
import type { Device, Tensor } from './device.ts'
import { describeTensor } from './tensor-layout.ts'

/** what numbers of programs are counted in is an i32, with room for the workers that look for one more */
const maxPrograms = 2 ** 31 - 1 - 65_536

/** The arguments of a kernel in the order of its program's parameters, each checked; throws what `Device.run` documents. */
export function bindKernel<Block extends MemoryBlock>(
  device: Device,
  kernel: Kernel,
  tensors: Readonly<Record<string, Tensor>>,
): BoundArgument<Block>[] {
  const { program, grid, scalars } = kernel
  const fail = (code: 'limit' | 'argument' | 'shape' | 'dtype' | 'disposed' | 'device', message: string): never => {
    throw new FoveaError(code, 'device.run', `${program.name}: ${message}`)
  }
  if (grid.length !== 3 || !grid.every((n) => Number.isSafeInteger(n) && n >= 0))
    fail('argument', `the grid is three whole numbers ≥ 0, got [${grid.join(', ')}]`)
  if (grid[0] * grid[1] * grid[2] > maxPrograms)
    fail('limit', `a grid of [${grid.join(', ')}] programs; ${maxPrograms} is the most`)
  const declared = program.params.filter((param) => param.kind === 'scalar' || !param.source)
  const names = new Set(declared.map((param) => param.name))
  for (const name of [...Object.keys(tensors), ...Object.keys(scalars)])
    if (!names.has(name)) fail('argument', `has no parameter ${name} (${[...names].join(', ')})`)

  const checkTensor = (param: TensorParam): BoundArgument<Block> => {
    const tensor = boundTensor(kernel, param, tensors)
    if (!(tensor instanceof BackedTensor))
      return fail('argument', `${param.name} must be a tensor, got ${tensor === undefined ? 'nothing' : typeof tensor}`)
    const got = () => describeTensor(tensor)
    if (tensor.device !== device && tensor.device !== device.rehearses)
      fail('device', `${param.name} ${got()} belongs to another device (${tensor.device.kind})`)
    if (tensor.disposed) fail('disposed', `${param.name} ${got()} was disposed`)
    if (tensor.dtype !== param.dtype) fail('dtype', `${param.name} must be ${param.dtype}, got ${got()}`)
    const wanted = `[${param.sizes.map((size) => size ?? '?').join(', ')}]`
    if (
      tensor.shape.length !== param.sizes.length ||
      param.sizes.some((size, dim) => size !== null && size !== tensor.shape[dim])
    )
      fail('shape', `${param.name} must be ${param.dtype} ${wanted}, got ${got()}`)
    const last = tensor.shape.length - 1
    if (last >= 0 && (tensor.shape[last] as number) > 1 && tensor.strides[last] !== 1)
      fail('shape', `${param.name} must be contiguous in its last dimension, got ${got()}`)
    const steps = tensor.strides.filter((_, dim) => dim < last && (tensor.shape[dim] as number) > 1)
    if ([tensor.offset, ...steps].some((step) => step % param.alignment !== 0))
      fail('argument', `offset and strides of ${param.name} must be multiples of ${param.alignment}, got ${got()}`)
    return { kind: 'tensor', param, spec: tensor, block: tensor.memory.block as Block }
  }
  const checkScalar = (param: ScalarParam): BoundArgument<Block> => {
    const value = scalars[param.name] as unknown
    const whole = param.dtype === 'f32' || Number.isInteger(value)
    if (typeof value !== 'number' || !whole)
      return fail('argument', `${param.name} must be ${param.dtype}, got ${String(value)}`)
    return { kind: 'scalar', param, value }
  }
  const bound = program.params.map((param) => (param.kind === 'tensor' ? checkTensor(param) : checkScalar(param)))

  const memory = new Map<Block, TensorParam>()
  for (const argument of bound) {
    if (argument.kind !== 'tensor') continue
    const other = memory.get(argument.block)
    if (other && (other.access !== 'read' || argument.param.access !== 'read'))
      fail('argument', `${other.name} and ${argument.param.name} share memory, and one is written`)
    memory.set(argument.block, argument.param)
  }
  return bound
}

/** What a parameter of a kernel stands for: a captured tensor, what is bound in its place, or an argument. */
export function boundTensor(
  { captured }: Kernel,
  { source, name }: TensorParam,
  tensors: Readonly<Record<string, Tensor>>,
): unknown {
  return source ? (captured?.get(source) ?? source) : tensors[name]
}
