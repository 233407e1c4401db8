import {
  load,
  loop,
  type ProgramBuilder,
  rowRange,
  scalar,
  type TensorParam,
  type Value,
  zeros,
} from '../../tile/index.ts'

/** What a row of the output is a sum of: a product with one matrix of the weight. */
export interface LinearTerm {
  /** panels (or rows) before those of the matrix; null: none */
  readonly first: Value | null
  /** to where inputs of a part are read: `depth`, or 0 when there is nothing to multiply */
  readonly reach: Value
  /** x[row, part, k] for a row of the output */
  x(row: Value, part: number, k: Value): Value
}

/**
 * Which of a weight's matrices (experts) each row of a product meets. A *pair* is a token with one of the `perToken` experts
 * chosen for it: pair p is token ⌊p / perToken⌋.
 *
 * - `pairs`: output row p = x[p or its token] · W[chosen[p]]
 * - `slots`: output row n = Σ over token n's pairs p of weights[p] · (x[p] · W[chosen[p]])
 * - `tiles`: output row r = x[r, or the token of the pair at r] · W[expert of r's tile], tiles and pairs from a list (`sortPairs`)
 *
 * A pair whose expert is none of the weight's is passed over.
 */
export interface ExpertRows {
  readonly kind: 'pairs' | 'slots' | 'tiles'
  readonly perToken: number
  /** x holds a row for each token, which all of its pairs read, not one for each pair (or sorted pair) */
  readonly xByToken: boolean
  /** products are multiplied by the pair's weight: what multiplies an expert's input (`pairs`, `tiles` of xByToken) */
  readonly weighed: boolean
  /** rows of a tile of the work list; 1 otherwise */
  readonly tileM: number
}

/** What a program does about experts. */
export interface ExpertsInProgram {
  rows(tileM: number): Value
  sum(start: Carried, product: (term: LinearTerm, start: Carried) => Carried): Carried
  bias(bias: TensorParam, index: Value): Value
  /** rows of the output that this program stores; null: all */
  where(row: Value): Value | null
}

type Carried = Readonly<Record<string, Value>>

/** Declares the parameters: `chosen` or `list`, `weights`, and scalars that place experts in the weight. */
export function expertsInProgram(
  p: ProgramBuilder,
  { kind, perToken, xByToken, weighed }: ExpertRows,
  depth: Value,
  x: LinearTerm['x'],
): ExpertsInProgram {
  const [from, to] = [p.scalar('firstExpert', 'i32'), p.scalar('endExpert', 'i32')]
  const [stride, features] = [p.scalar('expertStride', 'i32'), p.scalar('expertFeatures', 'i32')]
  const own = (expert: Value) => expert.ge(from).and(expert.lt(to))
  const program = p.programId(1)
  const matrix = (expert: Value, owned: Value, source: (row: Value) => Value): LinearTerm => ({
    first: owned.select(expert.sub(from), 0).mul(stride),
    reach: owned.select(depth, 0),
    x: (row, part, k) => x(source(row), part, k),
  })
  const biasOf = (bias: TensorParam, expert: Value, index: Value) =>
    load(bias, [expert.sub(from).mul(features).add(index)])
  const tokenOf = (pair: Value) => pair.div(perToken)

  if (kind === 'tiles') {
    const list = p.input('list', 'i32', [null])
    const orderFrom = xByToken || weighed ? p.scalar('orderFrom', 'i32') : null
    const weights = weighed ? p.input('weights', 'f32', [null]) : null
    const [expert, first, count] = [0, 1, 2].map((i) => load(list, [program.mul(3).add(i)])) as [Value, Value, Value]
    const owned = count.gt(0).and(own(expert))
    const end = owned.select(first.add(count), 0)
    const pairAt = (row: Value) => load(list, [(orderFrom as Value).add(row)])
    const source = (row: Value) => (xByToken ? tokenOf(pairAt(row)) : row)
    return {
      rows: (tileM) => rowRange(first, tileM),
      sum: (start, product) => {
        const sums = product(matrix(expert, owned, source), start)
        if (!weights) return sums
        return each(sums, (sum) => sum.mul(load(weights, [pairAt(rowRange(first, sum.rows))])))
      },
      bias: (bias, index) => biasOf(bias, expert, index),
      where: (row) => row.lt(end),
    }
  }
  const chosen = p.input('chosen', 'i32', [null])
  const weights = weighed ? p.input('weights', 'f32', [null]) : null
  if (kind === 'pairs') {
    const expert = load(chosen, [program])
    const owned = own(expert)
    return {
      rows: () => program,
      sum: (start, product) => {
        const sums = product(matrix(expert, owned, xByToken ? tokenOf : (row) => row), start)
        return weights ? each(sums, (sum) => sum.mul(load(weights, [program]))) : sums
      },
      bias: (bias, index) => biasOf(bias, expert, index),
      where: () => owned,
    }
  }
  const pairsOf = <C extends Carried>(init: C, add: (pair: Value, expert: Value, weight: Value, carried: C) => C) =>
    loop({ to: scalar(perToken, 'i32') }, init, (slot, carried) => {
      const pair = program.mul(perToken).add(slot)
      return add(pair, load(chosen, [pair]), weights ? load(weights, [pair]) : scalar(1), carried)
    }) as C
  return {
    rows: () => program,
    sum: (start, product) =>
      pairsOf(start, (pair, expert, weight, carried) => {
        const own_ = product(
          matrix(expert, own(expert), () => pair),
          start,
        )
        return Object.fromEntries(
          Object.entries(carried).map(([name, sum]) => [name, sum.add((own_[name] as Value).mul(weight))]),
        )
      }),
    bias: (bias, index) =>
      pairsOf({ sum: zeros([index.rows, index.cols]) }, (_, expert, weight, { sum }) => ({
        sum: sum.add(own(expert).select(biasOf(bias, expert, index).mul(weight), 0)),
      })).sum,
    where: () => null,
  }
}

function each(values: Carried, change: (value: Value) => Value): Carried {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]))
}
