import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  defineProgram,
  FoveaError,
  type Kernel,
  load,
  loop,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
} from '../tile/index.ts'

/** A function of matrices [N, D], element by element. */
export interface Elementwise<Input extends string, Output extends string> {
  /** the operation, for errors */
  readonly where: string
  readonly inputs: Readonly<Record<Input, Tensor>>
  readonly outputs: Readonly<Record<Output, Tensor>>
  /** in f32 */
  readonly compute: (values: Readonly<Record<Input, Value>>) => Readonly<Record<Output, Value>>
}

const floats = ['f32', 'f16', 'bf16']
/** columns of a flat array's rows */
const flatWidth = 1024

/**
 * Enqueues one kernel that reads each input and writes each output once. All are [N, D] of f32, f16 or bf16 with contiguous
 * rows; sizes are run-time values. Two outputs may be the left and the right half of one matrix. Throws `shape`, `dtype`, and
 * what `Device.run` throws.
 */
export function runElementwise<Input extends string, Output extends string>(
  device: Device,
  call: Elementwise<Input, Output>,
): void {
  check(call)
  const named = Object.entries<Tensor>({ ...call.inputs, ...call.outputs })
  const halves = halvesOf(Object.entries<Tensor>(call.outputs))
  const separate = named.filter(([name]) => !halves?.names.includes(name))
  const flat = !halves && named.every(([, tensor]) => isFlat(tensor))
  const views: Tensor[] = []
  const view = (tensor: Tensor, spec: Parameters<Tensor['view']>[0]) => {
    const made = tensor.view(spec)
    views.push(made)
    return made
  }
  try {
    const bound = Object.fromEntries(
      separate.map(([name, tensor]) => [
        name,
        flat ? view(tensor, { shape: [tensor.size / flatWidth, flatWidth], offset: tensor.offset }) : tensor,
      ]),
    )
    if (halves) {
      const { shape, strides, offset } = halves.spec
      bound[halves.param] = view(halves.left, { shape, strides, offset })
    }
    device.run(elementwiseKernel(call, bound, halves, device.kind), bound)
  } finally {
    for (const made of views) made.dispose()
  }
}

/** Two outputs that lie side by side in one matrix, bound as one tensor [N, 2, D]. */
interface Halves {
  readonly param: string
  readonly names: readonly string[]
  readonly left: Tensor
  readonly spec: TensorSpec
}

function halvesOf(outputs: readonly (readonly [string, Tensor])[]): Halves | null {
  const [first, second] = outputs
  if (!first || !second?.[1].sharesMemory(first[1])) return null
  const [left, right] = [first[1], second[1]]
  const [rows, width] = left.shape as readonly [number, number]
  const step = left.strides[0] as number
  if (right.offset !== left.offset + width || right.strides[0] !== step || (rows > 1 && step < 2 * width)) return null
  const spec = { dtype: left.dtype, shape: [rows, 2, width], strides: [step, width, 1], offset: left.offset }
  return { param: 'halves', names: [first[0], second[0]], left, spec }
}

/** One program owns a few rows and walks over their columns. */
function elementwiseKernel<Input extends string, Output extends string>(
  { where, inputs, outputs, compute }: Elementwise<Input, Output>,
  bound: Readonly<Record<string, TensorSpec>>,
  halves: Halves | null,
  kind: Device['kind'],
): Kernel {
  const [rows = 0, width = 0] = (Object.values(bound)[0] as TensorSpec).shape
  const { tileN, tileD } = elementTiles(kind, width)
  const declared = (name: string) => {
    const spec = bound[name] as TensorSpec
    const sizes = spec.shape.length === 3 ? [null, 2, null] : [null, null]
    return [name, spec.dtype, sizes, { alignment: alignmentOf(spec) }] as const
  }
  const program = defineProgram(
    where.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    (p) => {
      const from = (Object.keys(inputs) as Input[]).map((name) => ({ name, param: p.input(...declared(name)) }))
      const shared = halves && p.output(...declared(halves.param))
      const to = (Object.keys(outputs) as Output[]).map((name) => {
        const half = halves?.names.indexOf(name) ?? -1
        return half >= 0 && shared
          ? { name, param: shared, half }
          : { name, param: p.output(...declared(name)), half: -1 }
      })
      const own = rowRange(p.programId(0).mul(tileN), tileN) //                  [tileN, 1]
      const [first] = from
      loop(
        { to: first ? sizeOf(first.param, 1) : 0, step: tileD },
        {},
        (start, _, emit) => {
          const cols = colRange(start, tileD) //                                 [1, tileD]
          const values = from.map(({ name, param }) => [name, load(param, [own, cols]).cast('f32')] as const)
          const results = compute(Object.fromEntries(values) as Record<Input, Value>)
          for (const { name, param, half } of to)
            emit(store(param, half < 0 ? [own, cols] : [own, half, cols], results[name]))
          return {}
        },
        p.emit,
      )
    },
  )
  return { program, grid: [Math.ceil(rows / tileN), width === 0 ? 0 : 1, 1], scalars: {} }
}

/** Tiles of matrices that are walked row by row: as wide as their width fills, and of as many elements as a program takes well. */
export function elementTiles(kind: Device['kind'], width: number): { readonly tileN: number; readonly tileD: number } {
  const tileD = [256, 128, 64].find((tile) => Math.ceil(width / tile) * tile <= 1.1 * width) ?? (width > 128 ? 128 : 32)
  return { tileN: (kind === 'webgpu' ? 1024 : 2048) / tileD, tileD }
}

/** Can it be seen as whole rows of one length, whatever its own are? */
function isFlat({ shape, strides, size }: Tensor): boolean {
  return size % flatWidth === 0 && (shape[0] === 1 || strides[0] === shape[1])
}

function check({ where, inputs, outputs }: Elementwise<string, string>): void {
  const named = Object.entries<Tensor>({ ...inputs, ...outputs })
  const fail = (code: 'shape' | 'dtype', what: string) => {
    const got = named.map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`)
    return new FoveaError(code, where, `${what}, got ${got.join(', ')}`)
  }
  const shapes = new Set(named.map(([, { shape }]) => shape.join()))
  if (shapes.size > 1 || named.some(([, { shape }]) => shape.length !== 2))
    throw fail('shape', 'all tensors must be [N, D] alike')
  if (named.some(([, { dtype }]) => !floats.includes(dtype))) throw fail('dtype', 'takes f32, f16 and bf16')
}
