import {
  colRange,
  defineProgram,
  instantiate,
  load,
  loop,
  type Node,
  type Operand,
  type Program,
  rowSum,
  scalar,
  select,
  store,
  Value,
  zeros,
} from '../../tile/index.ts'
import { type Collection, type Unknown, withoutTerm } from './collection.ts'
import { elementsOf, stripWidth } from './element-strips.ts'
import type { CapturedLoad, ContextName } from './score-gradient.ts'

const across = 64

/**
 * gradient[e] += Σ of the values whose load had the indices e. One program owns some elements and visits, by `collection`, the
 * values that may be theirs; what belongs to other elements is compared and left out. `source` [loads, …] holds values by
 * (head, q, k) as far as they are gathered by them, from `fromHead`, `fromQ`, `fromK` on; the unknowns run from `headFrom` to
 * `headTo` and so on. No two programs write one element, so the order of summation is always the same.
 */
export function collectProgram(
  captured: CapturedLoad,
  collection: Collection,
  symbols: Readonly<Record<ContextName, Node>>,
): Program {
  const rank = captured.indices.length
  const { gathered, steps, triesLast } = collection
  const width = triesLast ? stripWidth.tried : stripWidth.solved
  return defineProgram(`collect${gathered}`, (p) => {
    const source = p.input('source', 'f32', [null, null, null, null])
    const gradient = p.update('gradient', 'f32', Array<null>(rank).fill(null))
    const plane = p.scalar('plane', 'i32')
    const batch = p.scalar('batch', 'i32')
    const [qLength, kLength] = [p.scalar('qLength', 'i32'), p.scalar('kLength', 'i32')]
    const bounds = (name: string) => ({ from: p.scalar(`${name}From`, 'i32'), to: p.scalar(`${name}To`, 'i32') })
    const range = { head: bounds('head'), q: bounds('q'), k: bounds('k') }
    const row = p.scalar('row', 'i32')
    const origin = { head: p.scalar('fromHead', 'i32'), q: p.scalar('fromQ', 'i32'), k: p.scalar('fromK', 'i32') }
    const { at, inside } = elementsOf(p, rank, { inOrder: triesLast })

    type Known = Readonly<Partial<Record<Unknown, Value>>>
    const shape = [triesLast ? width : 1, triesLast ? across : width] as const
    const given = new Map<Node, Node>([
      [symbols.batch, batch.node],
      [symbols.qLength, qLength.node],
      [symbols.kLength, kLength.node],
    ])
    const bind = (known: Known) =>
      new Map([
        ...given,
        ...Object.entries(known).map(([name, value]) => [symbols[name as Unknown], value.node] as const),
      ])

    /** the sum, with what the steps from `step` on add to it */
    const visit = (step: number, known: Known, sum: Value): Value => {
      const next = steps[step]
      if (!next) return sum.add(valuesAt(known))
      const { unknown, solved } = next
      if (solved) {
        const index = captured.indices[solved.dim] as Node
        const rest = new Value(withoutTerm(index, symbols[unknown], bind(known)))
        const element = at[solved.dim] as Value
        const value = solved.sign === 1 ? element.sub(rest) : rest.sub(element)
        return visit(step + 1, { ...known, [unknown]: value }, sum)
      }
      const runsAcross = triesLast && step === steps.length - 1
      return loop({ ...range[unknown], step: runsAcross ? across : 1 }, { sum }, (i, carried) => ({
        sum: visit(step + 1, { ...known, [unknown]: runsAcross ? colRange(i, across) : i }, carried.sum),
      })).sum
    }
    const valuesAt = (known: Known): Value => {
      let mine: Value = scalar(true)
      for (const { unknown } of steps) {
        const value = known[unknown] as Value
        mine = mine.and(value.ge(range[unknown].from)).and(value.lt(range[unknown].to))
      }
      const solvedDims = new Set(steps.map(({ solved }) => solved?.dim))
      const indices = instantiate(captured.indices, bind(known))
      indices.forEach((index, dim) => {
        if (!solvedDims.has(dim)) mine = mine.and(new Value(index).eq(at[dim] as Value))
      })
      const place = (unknown: Unknown): Operand => (known[unknown] as Value).sub(origin[unknown])
      const value =
        gathered === 'pairs'
          ? load(source, [plane, place('head'), place('q'), place('k')])
          : load(source, [plane, row, place('head'), place(gathered === 'rows' ? 'q' : 'k')])
      return select(mine, value, 0).broadcastTo(...shape)
    }
    const sum = visit(0, {}, zeros(shape))
    const total = load(gradient, at, { where: inside }).add(triesLast ? rowSum(sum) : sum)
    p.emit(store(gradient, at, total, { where: inside }))
  })
}
