import { FoveaError, type Param, type Program, type ScalarParam, type TensorParam } from '../ir/index.ts'
import type { GridForm } from './grid-form.ts'

/** What a tensor tells a kernel at run time. Strides and offset in elements. */
export interface TensorArguments {
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
}

/**
 * The words of the uniform buffer `args: array<vec4<u32>, n>`: the bits of −∞, +∞ and NaN, which WGSL cannot write as
 * constants, and a zero; then for each tensor its offset, sizes and strides (i32); then the scalars; in a folded kernel the grid.
 */
export interface ArgumentLayout {
  /** length in 16-byte vectors */
  readonly vectors: number
  offset(tensor: TensorParam): string
  size(tensor: TensorParam, dim: number): string
  stride(tensor: TensorParam, dim: number): string
  scalar(param: ScalarParam): string
  /** how many programs the grid has along an axis, in a folded kernel */
  grid(axis: 0 | 1 | 2): string
  pack(
    tensors: readonly TensorArguments[],
    scalars: readonly number[],
    grid?: readonly [number, number, number],
  ): ArrayBuffer
}

const specials = [0xff800000, 0x7f800000, 0x7fc00000, 0] as const

export function argumentLayout(program: Program, form: GridForm): ArgumentLayout {
  const tensors = program.params.filter((param) => param.kind === 'tensor')
  const scalars = program.params.filter((param) => param.kind === 'scalar')
  const first = new Map<Param, number>()
  let next = specials.length
  for (const tensor of tensors) {
    first.set(tensor, next)
    next += 1 + 2 * tensor.sizes.length
  }
  for (const scalar of scalars) first.set(scalar, next++)
  const gridAt = next
  if (form === 'folded') next += 3
  const start = (param: Param): number => {
    const at = first.get(param)
    if (at === undefined)
      throw new FoveaError('argument', program.name, `${param.name} is no parameter of this program`)
    return at
  }
  const word = (at: number) => `args[${at >> 2}].${'xyzw'[at & 3]}`
  const integer = (at: number) => `bitcast<i32>(${word(at)})`
  const vectors = Math.ceil(next / 4)
  return {
    vectors,
    offset: (tensor) => integer(start(tensor)),
    size: (tensor, dim) => {
      const known = tensor.sizes[dim]
      return known === null || known === undefined ? integer(start(tensor) + 1 + dim) : `${known}i`
    },
    stride: (tensor, dim) => integer(start(tensor) + 1 + tensor.sizes.length + dim),
    scalar: (param) => (param.dtype === 'u32' ? word(start(param)) : `bitcast<${param.dtype}>(${word(start(param))})`),
    grid: (axis) => integer(gridAt + axis),
    pack: (values, numbers, grid) => {
      if (values.length !== tensors.length || numbers.length !== scalars.length)
        throw new FoveaError(
          'argument',
          program.name,
          `takes ${tensors.length} tensors and ${scalars.length} scalars, got ${values.length} and ${numbers.length}`,
        )
      const buffer = new ArrayBuffer(vectors * 16)
      const [words, floats] = [new Uint32Array(buffer), new Float32Array(buffer)]
      words.set(specials)
      tensors.forEach((tensor, n) => {
        const { offset, shape, strides } = values[n] as TensorArguments
        if (shape.length !== tensor.sizes.length || strides.length !== tensor.sizes.length)
          throw new FoveaError(
            'shape',
            program.name,
            `${tensor.name} has ${tensor.sizes.length} dimensions, got shape [${shape.join(', ')}]`,
          )
        words.set([offset, ...shape, ...strides], start(tensor))
      })
      scalars.forEach((scalar, n) => {
        if (scalar.dtype === 'f32') floats[start(scalar)] = numbers[n] as number
        else words[start(scalar)] = numbers[n] as number
      })
      if (form === 'folded') words.set(grid ?? [0, 0, 0], gridAt)
      return buffer
    },
  }
}
