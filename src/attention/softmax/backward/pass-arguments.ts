import { colRange, load, type Operand, type ProgramBuilder, type TensorParam, type Value } from '../../../tile/index.ts'
import { scalesToLog2 } from '../attend-tile.ts'
import { roundUp } from '../flash-program.ts'
import type { BackwardProgramSpec } from './gradient-tile.ts'
import { workWidth } from './work-table.ts'

/** What either pass of the backward reads, and where the item of its program stands. */
export interface PassArguments<Field extends string> {
  readonly query: TensorParam
  readonly key: TensorParam
  /** null in a pass that has scores only */
  readonly values: {
    readonly value: TensorParam
    readonly dOutput: TensorParam
    readonly rows: TensorParam
    /** their columns, padded */
    readonly columns: Value // [1, Dv]
  } | null
  readonly work: TensorParam
  /** factor of the scores, and as the scores take it */
  readonly scale: Value
  readonly scaled: Value
  /** the columns of queries and keys, padded */
  readonly columns: Value // [1, D]
  /** a column of the item, by its name */
  field(name: Field): Value
  readonly batch: Value
  readonly qBase: Value
  readonly kBase: Value
  readonly qLength: Value
  readonly kLength: Value
  /** where the rows of the sequence lie in tensors [B, …] */
  readonly row: Operand
}

/** Declares them; `fields` are the columns of the work's items. */
export function passArguments<const Fields extends readonly string[]>(
  p: ProgramBuilder,
  spec: BackwardProgramSpec,
  fields: Fields,
  options: { readonly scoresOnly?: boolean } = {},
): PassArguments<Fields[number]> {
  const { dtype, alignment, headDim, valueDim, padTo } = spec
  const wide = (name: string, size: number) => p.input(name, dtype, [null, null, null, size], { alignment })
  const [query, key] = [wide('query', headDim), wide('key', headDim)]
  const values = options.scoresOnly
    ? null
    : {
        value: wide('value', valueDim),
        dOutput: wide('dOutput', valueDim),
        rows: p.input('rows', 'f32', [null, null, null, null]),
        columns: colRange(0, roundUp(valueDim, padTo)),
      }
  const work = p.input('work', 'i32', [null, workWidth])
  const [scale, scaleLog2] = [p.scalar('scale', 'f32'), p.scalar('scaleLog2', 'f32')]
  const item = p.programId(0).add(p.scalar('firstItem', 'i32'))
  const field = (name: string) => load(work, [item, fields.indexOf(name)])
  const batch = field('batch')
  return {
    ...{ query, key, values, work, scale, field, batch },
    scaled: scalesToLog2(spec) ? scaleLog2 : scale,
    columns: colRange(0, roundUp(headDim, padTo)),
    qBase: field('qBase'),
    kBase: field('kBase'),
    qLength: field('qLength'),
    kLength: field('kLength'),
    // tensors of packed sequences have batch size 1; `batch` then counts sequences
    row: spec.packed ? 0 : batch,
  }
}
