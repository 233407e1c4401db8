import {
  colRange,
  defineProgram,
  type Program,
  type ProgramBuilder,
  rowRange,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'

/** elements of one program, where all unknowns are solved; where the values of one run across, fewer, and so many at a time */
export const stripWidth = { solved: 256, tried: 16 } as const

/**
 * The elements of one program, in the region that scalars `from0 count0 from1 …` name: a strip [1, width] of the last
 * dimension, or, as a column [width, 1], the next ones in order of all dimensions.
 */
export function elementsOf(p: ProgramBuilder, rank: number, { inOrder }: { readonly inOrder: boolean }) {
  const from = Array.from({ length: rank }, (_, dim) => p.scalar(`from${dim}`, 'i32'))
  const count = Array.from({ length: rank }, (_, dim) => p.scalar(`count${dim}`, 'i32'))
  const layer = p.scalar('layer', 'i32')
  const width = inOrder ? stripWidth.tried : stripWidth.solved
  const part = p.programId(1).add(p.programId(2).mul(layer))
  const at: Value[] = []
  let outer = inOrder ? rowRange(part.mul(width), width) : part
  for (let dim = inOrder ? rank - 1 : rank - 2; dim >= 0; dim--) {
    at[dim] = outer.mod(count[dim] as Value).add(from[dim] as Value)
    outer = outer.div(count[dim] as Value)
  }
  if (inOrder) return { at, inside: outer.eq(0) }
  const inStrip = colRange(p.programId(0).mul(width), width)
  at[rank - 1] = inStrip.add(from[rank - 1] as Value)
  return { at, inside: outer.eq(0).and(inStrip.lt(count[rank - 1] as Value)) }
}

/** Sets a region of a tensor to 0, whatever it held. */
export function clearProgram(rank: number): Program {
  const width = stripWidth.solved
  return defineProgram('clearGradient', (p) => {
    const gradient = p.output('gradient', 'f32', Array<null>(rank).fill(null))
    const { at, inside } = elementsOf(p, rank, { inOrder: rank === 0 })
    p.emit(store(gradient, at, zeros(rank === 0 ? [stripWidth.tried, 1] : [1, width]), { where: inside }))
  })
}

/** programs along one axis of the grid: what every adapter allows, with room */
const mostAlong = 16384

/** A run over a region of a tensor's elements; null where it has none. */
export function regionRun(
  program: Program,
  region: readonly { from: number; count: number }[],
  { inOrder }: { readonly inOrder: boolean },
) {
  if (region.some(({ count }) => count <= 0)) return null
  const product = (part: typeof region) => part.reduce((all, { count }) => all * count, 1)
  const strips = Math.ceil((region.at(-1)?.count as number) / stripWidth.solved)
  const outer = inOrder ? Math.ceil(product(region) / stripWidth.tried) : product(region.slice(0, -1))
  const layer = Math.min(outer, mostAlong)
  const fields = region.flatMap(({ from, count }, dim) => [
    [`from${dim}`, from],
    [`count${dim}`, count],
  ])
  const scalars: Record<string, number> = pickScalars(program, { ...Object.fromEntries(fields), layer })
  return { program, grid: [inOrder ? 1 : strips, layer, Math.ceil(outer / layer)] as [number, number, number], scalars }
}

/** The scalars that a program declares. */
export function pickScalars(program: Program, values: Readonly<Record<string, number>>): Record<string, number> {
  const names = new Set(program.params.map(({ name }) => name))
  return Object.fromEntries(Object.entries(values).filter(([name]) => names.has(name)))
}
