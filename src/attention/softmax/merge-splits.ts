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
import type { Normalizer } from '../normalizers/normalizer.ts'

// Merging the states of disjoint keys (Dao, Haziza, Massa and Sizov, Flash-Decoding, 2023), each a sum of values Σ p·v, its
// stabiliser m (log2 units) and the sum l of its weights:
//
//   m = maxᵢ mᵢ      l = Σᵢ 2^(mᵢ − m) lᵢ      output = Σᵢ 2^(mᵢ − m) accᵢ / l      lse = m ln 2 + ln l
//
// and the same with e and m where stabilisers are in natural units.
//
// One program owns one head of one query, streams its states in tiles of splits, keeps m, l and an accumulator. Traffic:
// every state once, output once. Sinks join as one more state that has no value.

/** states in a tile: so few rounds that the merge stays short beside the decode */
const tileSplits = 32

export interface MergeSplitsSpec {
  readonly dtype: StorageDType
  readonly valueDim: number
  readonly sinks: boolean
  /** of the stabilisers: those of the normalizer that made the states (log2) */
  readonly units?: Normalizer['units']
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
    grid: [spec.numHeads, spec.queries, spec.batch],
    scalars: { splits: spec.splits, batch: spec.batch },
  }
}

function mergeSplitsProgram({ dtype, valueDim, sinks, units = 'log2' }: MergeSplitsSpec): Program {
  const natural = units === 'natural'
  const lifted = (x: Value) => exp2(natural ? x.mul(Math.LOG2E) : x)
  return defineProgram('mergeSplits', (p) => {
    const states = p.input('states', 'f32', [null, null, null, valueDim])
    const stateSums = p.input('stateSums', 'f32', [null, 2, null, null])
    const sinkLogits = sinks ? p.input('sinks', 'f32', [null]) : null
    const output = p.output('output', dtype, [null, null, null, valueDim])
    const lse = p.output('lse', 'f32', [null, null, null])
    const splits = p.scalar('splits', 'i32')
    const batches = p.scalar('batch', 'i32')

    const [head, query, batch] = [p.programId(0), p.programId(1), p.programId(2)]
    const columns = colRange(0, valueDim)
    const start: Record<string, Value> = {
      m: full([1, 1], Number.NEGATIVE_INFINITY),
      l: zeros([1, 1]),
      acc: zeros([1, valueDim]),
    }
    // −∞ − −∞ is NaN: states without keys are stabilised by 0
    const stabilised = (m: Value) => select(m.eq(Number.NEGATIVE_INFINITY), 0, m)
    const merged = loop({ to: splits, step: tileSplits }, start, (from, carried) => {
      const split = rowRange(from, tileSplits) //                                   [tile, 1]
      const at = split.mul(batches).add(batch)
      const where = split.lt(splits)
      const part = load(states, [at, query, head, columns], { where }) //           [tile, Dv]
      const top = select(where, load(stateSums, [at, 0, head, query]), Number.NEGATIVE_INFINITY)
      const m = max(carried.m as Value, top.colMax())
      const stable = stabilised(m)
      const alpha = lifted((carried.m as Value).sub(stable))
      const weight = lifted(top.sub(stable)) //                                       [tile, 1]
      const sums = weight.mul(load(stateSums, [at, 1, head, query], { where }))
      return {
        m,
        l: (carried.l as Value).mul(alpha).add(sums.colSum()),
        acc: (carried.acc as Value).mul(alpha).add(part.mul(weight).colSum()),
      }
    })
    let [m, l, acc] = [merged.m as Value, merged.l as Value, merged.acc as Value]
    if (sinkLogits) {
      const sink = load(sinkLogits, [head])
      const logit = natural ? sink : sink.mul(Math.LOG2E)
      const joined = max(m, logit)
      const alpha = lifted(m.sub(stabilised(joined)))
      ;[l, acc] = [l.mul(alpha).add(lifted(logit.sub(stabilised(joined)))), acc.mul(alpha)]
      m = joined
    }
    const none = l.eq(0)
    p.emit(store(output, [batch, query, head, columns], acc.mul(select(none, 0, l.reciprocal()))))
    const top = natural ? m : m.mul(Math.LN2)
    p.emit(store(lse, [batch, head, query], select(none, Number.NEGATIVE_INFINITY, top.add(log(l)))))
  })
}
