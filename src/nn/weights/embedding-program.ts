import {
  alignmentOf,
  colRange,
  defineProgram,
  type Kernel,
  load,
  loop,
  type ProgramBuilder,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
} from '../../tile/index.ts'
import type { WeightDType } from '../weight-data.ts'
import { type PlaneName, panelWidth, placedFormats, type WeightLayout } from './placed-format.ts'
import { weightTile } from './weight-terms.ts'

export interface EmbeddingSpec {
  readonly dtype: WeightDType
  readonly layout: WeightLayout
  readonly planes: Readonly<Partial<Record<PlaneName, TensorSpec>>>
  /** [N, parts, inputs of a part], see PlacedFormat */
  readonly output: TensorSpec
  readonly positionTable: TensorSpec | null // [P, parts, inputs of a part]
  /**
   * of a table of `size` rows in several blocks, this kernel writes the tokens of rows from … to−1; the first block's those
   * whose id is outside of the table, too
   */
  readonly block: { readonly first: boolean; readonly from: number; readonly to: number; readonly size: number } | null
  readonly scale: number
}

const tile = { tokens: 4, inputs: 64 }

/** A program gathers the rows of four tokens, 64 inputs at a time. Traffic: each token's row, output once. */
export function embeddingKernel(spec: EmbeddingSpec): Kernel {
  const { dtype, layout, block, scale } = spec
  const { parts, planes: formats } = placedFormats[dtype]
  const program = defineProgram('embed', (p) => {
    const tensor = declare(p, spec)
    const ids = p.input('ids', 'i32', [null])
    const planes = Object.fromEntries(
      formats.map(({ name, dtype: stored }) => {
        const plane = spec.planes[name] as TensorSpec
        return [name, p.input(name, stored, [...plane.shape.map(() => null)], { alignment: alignmentOf(plane) })]
      }),
    ) as Record<PlaneName, ReturnType<typeof p.input>>
    const positionTable = spec.positionTable && tensor('positionTable', spec.positionTable)
    const positions = positionTable && p.input('positions', 'i32', [null])
    const output = p.output('output', spec.output.dtype, [null, parts, null], { alignment: alignmentOf(spec.output) })
    const factor = p.scalar('scale', 'f32')
    const [from, to, size] = block ? (['from', 'to', 'size'] as const).map((name) => p.scalar(name, 'i32')) : []

    const tokens = rowRange(p.programId(0).mul(tile.tokens), tile.tokens) //                   [4, 1]
    const id = load(ids, [tokens]) //                                                          [4, 1]
    const row = from ? id.sub(from) : id
    const entry = (plane: PlaneName, index: Value) =>
      layout === 'rows'
        ? load(planes[plane], [row, index])
        : load(planes[plane], [row.shr(Math.log2(panelWidth)), index, row.and(panelWidth - 1)])
    const own = from && to && size ? (block?.first ? id.lt(to).or(id.ge(size)) : id.ge(from).and(id.lt(to))) : null
    const position = positions && load(positions, [tokens])
    const depth = sizeOf(output, 2)
    loop(
      { to: depth, step: tile.inputs },
      {},
      (start, _, emit) => {
        const k = colRange(start, tile.inputs) //                                              [1, 64]
        for (let part = 0; part < parts; part++) {
          let y = weightTile(dtype, entry, part, depth, k, k).mul(factor) //                   [4, 64]
          if (position && positionTable) y = y.add(load(positionTable, [position, part, k]))
          emit(store(output, [tokens, part, k], y, own ? { where: own } : {}))
        }
        return {}
      },
      p.emit,
    )
  })
  const tokens = spec.output.shape[0] as number
  return {
    program,
    grid: [Math.ceil(tokens / tile.tokens), 1, 1],
    scalars: { scale, ...(block && { from: block.from, to: block.to, size: block.size }) },
  }
}

function declare(p: ProgramBuilder, { dtype }: EmbeddingSpec) {
  return (name: string, spec: TensorSpec) =>
    p.input(name, spec.dtype, [null, placedFormats[dtype].parts, null], { alignment: alignmentOf(spec) })
}
