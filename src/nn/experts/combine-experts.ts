import type { Device, Tensor } from '../../device/device.ts'
import {
  alignmentOf,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  type Kernel,
  load,
  loop,
  rowRange,
  store,
  type TensorSpec,
  zeros,
} from '../../tile/index.ts'
import { elementTiles } from '../elementwise.ts'

export interface CombineExpertsOptions {
  /** what experts made of pairs, sorted */
  readonly x: Tensor // [P, C]
  /** the row of each pair; of −1 it is 0 */
  readonly position: Tensor // [P] i32
  /** of each pair; null: 1 */
  readonly weights: Tensor | null // [P] f32
  readonly output: Tensor // [N, C], P = N · K
  /** add to what `output` holds (false) */
  readonly accumulate?: boolean
}

/**
 * output[n] (+)= Σ over the pairs p of token n of weights[p] · x[position[p]], in the order of the pairs, in f32.
 *
 * Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function combineExperts(device: Device, options: CombineExpertsOptions): void {
  checkFields('combineExperts', 'options', options, fields)
  const { x, position, weights, output } = options
  device.run(combineExpertsKernel(options, device.kind), { x, position, output, ...(weights && { weights }) })
}

/** The kernel of `combineExperts`: a program owns a few rows and walks over their columns. Throws `shape` and `dtype`. */
export function combineExpertsKernel(
  options: {
    readonly x: TensorSpec
    readonly position: TensorSpec
    readonly weights: TensorSpec | null
    readonly output: TensorSpec
    readonly accumulate?: boolean
  },
  kind: Device['kind'],
): Kernel {
  const { x, position, weights, output, accumulate = false } = options
  const fail = (code: 'shape' | 'dtype', what: string) => {
    const got = Object.entries({ x, position, ...(weights && { weights }), output }).map(
      ([name, t]) => `${name} ${t.dtype} [${t.shape.join(', ')}]`,
    )
    return new FoveaError(code, 'combineExperts', `${what}, got ${got.join(', ')}`)
  }
  const [rows = 0, width = 0] = output.shape
  const [pairs = 0] = position.shape
  if (output.shape.length !== 2 || x.shape.length !== 2 || x.shape[1] !== width)
    throw fail('shape', 'x must be [P, C] and output [N, C]')
  if (position.shape.length !== 1 || x.shape[0] !== pairs || (weights && weights.shape.join() !== `${pairs}`))
    throw fail('shape', 'position and weights must be [P]')
  if (rows === 0 ? pairs > 0 : pairs % rows !== 0) throw fail('shape', 'every token must have as many pairs')
  if ([x, output].some(({ dtype }) => !['f32', 'f16', 'bf16'].includes(dtype)))
    throw fail('dtype', 'x and output must be floats')
  if (position.dtype !== 'i32' || (weights && weights.dtype !== 'f32'))
    throw fail('dtype', 'position must be i32 and weights f32')
  const { tileN, tileD } = elementTiles(kind, width)
  const program = defineProgram('combine-experts', (p) => {
    const source = p.input('x', x.dtype, [null, null], { alignment: alignmentOf(x) })
    const at = p.input('position', 'i32', [null])
    const factors = weights ? p.input('weights', 'f32', [null]) : null
    const declare = accumulate ? p.update : p.output
    const target = declare('output', output.dtype, [null, null], { alignment: alignmentOf(output) })
    const perToken = p.scalar('perToken', 'i32')
    const own = rowRange(p.programId(0).mul(tileN), tileN) //                        [tileN, 1]
    const cols = colRange(p.programId(1).mul(tileD), tileD) //                       [1, tileD]
    const { sum } = loop({ to: perToken }, { sum: zeros([tileN, tileD]) }, (slot, carried) => {
      const pair = own.mul(perToken).add(slot)
      const row = load(source, [load(at, [pair]), cols]).cast('f32')
      return { sum: carried.sum.add(factors ? row.mul(load(factors, [pair])) : row) }
    })
    p.emit(store(target, [own, cols], accumulate ? sum.add(load(target, [own, cols])) : sum))
  })
  return {
    program,
    grid: [Math.ceil(rows / tileN), Math.ceil(width / tileD), 1],
    scalars: { perToken: rows === 0 ? 0 : pairs / rows },
  }
}

const fields: FieldsOf<CombineExpertsOptions> = {
  x: true,
  position: true,
  weights: true,
  output: true,
  accumulate: true,
}
