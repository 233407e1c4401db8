import {
  colRange,
  defineProgram,
  exp2,
  full,
  type Kernel,
  load,
  log,
  loop,
  max,
  type Program,
  rowRange,
  type StorageDType,
  select,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'

// Merging the states of disjoint keys (Dao, Haziza, Massa and Sizov, Flash-Decoding, 2023), each a sum of values Σ p·v, its
// stabiliser m (log2 units) and the sum l of its weights:
//
//   m = maxᵢ mᵢ      l = Σᵢ 2^(mᵢ − m) lᵢ      output = Σᵢ 2^(mᵢ − m) accᵢ / l      lse = m ln 2 + ln l
//
// One program owns a tile of heads of one query, streams the splits, keeps m, l and an accumulator. Traffic: every state
// once, output once. Sinks join as one more state that has no value.

const tileRows = 16

export interface MergeSplitsSpec {
  readonly dtype: StorageDType
  readonly valueDim: number
  readonly sinks: boolean
  readonly splits: number
  readonly batch: number
  readonly queries: number
  readonly numHeads: number
  readonly program?: Program
}

/**
 * `states` [splits · B, T, H, Dv] and `stateSums` [splits · B, 2, H, T] (m, then l), f32, split slowest → `output` [B, T, H, Dv]
 * and `lse` [B, H, T].
 */
export function mergeSplits(spec: MergeSplitsSpec): Kernel {
  return {
    program: spec.program ?? mergeSplitsProgram(spec),
    grid: [Math.ceil(spec.numHeads / tileRows), spec.queries, spec.batch],
    scalars: { splits: spec.splits, batch: spec.batch },
  }
}

function mergeSplitsProgram({ dtype, valueDim, sinks }: MergeSplitsSpec): Program {
  return defineProgram('mergeSplits', (p) => {
    const states = p.input('states', 'f32', [null, null, null, valueDim])
    const stateSums = p.input('stateSums', 'f32', [null, 2, null, null])
    const sinkLogits = sinks ? p.input('sinks', 'f32', [null]) : null
    const output = p.output('output', dtype, [null, null, null, valueDim])
    const lse = p.output('lse', 'f32', [null, null, null])
    const splits = p.scalar('splits', 'i32')
    const batches = p.scalar('batch', 'i32')

    const heads = rowRange(p.programId(0).mul(tileRows), tileRows) //              [rows, 1]
    const [query, batch] = [p.programId(1), p.programId(2)]
    const columns = colRange(0, valueDim)
    const start: Record<string, Value> = {
      m: full([tileRows, 1], Number.NEGATIVE_INFINITY),
      l: zeros([tileRows, 1]),
      acc: zeros([tileRows, valueDim]),
    }
    const join = (m: Value, l: Value, other: { m: Value; l: Value | number }) => {
      const joined = max(m, other.m)
      // −∞ − −∞ is NaN: states without keys are stabilised by 0
      const stable = select(joined.eq(Number.NEGATIVE_INFINITY), 0, joined)
      const [alpha, weight] = [exp2(m.sub(stable)), exp2(other.m.sub(stable))]
      return { m: joined, l: l.mul(alpha).add(weight.mul(other.l)), alpha, weight }
    }
    const merged = loop({ to: splits }, start, (split, carried) => {
      const at = split.mul(batches).add(batch)
      const sums = (which: number) => load(stateSums, [at, which, heads, query]) // [rows, 1]
      const next = join(carried.m as Value, carried.l as Value, { m: sums(0), l: sums(1) })
      const part = load(states, [at, query, heads, columns]) //                    [rows, Dv]
      return { m: next.m, l: next.l, acc: (carried.acc as Value).mul(next.alpha).add(part.mul(next.weight)) }
    })
    let [m, l, acc] = [merged.m as Value, merged.l as Value, merged.acc as Value]
    if (sinkLogits) {
      const next = join(m, l, { m: load(sinkLogits, [heads]).mul(Math.LOG2E), l: 1 })
      ;[m, l, acc] = [next.m, next.l, acc.mul(next.alpha)]
    }
    const some = l.gt(0)
    p.emit(store(output, [batch, query, heads, columns], acc.mul(select(some, l.reciprocal(), 0))))
    p.emit(store(lse, [batch, heads, query], select(some, m.mul(Math.LN2).add(log(l)), Number.NEGATIVE_INFINITY)))
  })
}
