import {
  colRange,
  defineProgram,
  exp,
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

// Merging attention states over disjoint keys (Dao et al., Flash-Decoding, 2023; Ye et al., FlashInfer, 2025, arXiv
// 2501.01005, equations 2 and 3):
//
//   lse = log Σᵢ exp(lseᵢ)      output = Σᵢ exp(lseᵢ − lse) outputᵢ
//
// One program owns a tile of heads of one query, streams the splits, keeps the running maximum and sum of the weights and
// an accumulator. Traffic: every state once, output once. Sinks join as one more state that has no value.

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
 * `states` [splits · B, T, H, Dv] and `stateLse` [splits · B, H, T] (f32, split slowest) → `output` [B, T, H, Dv] and `lse`
 * [B, H, T]. A state with lse −∞ has no weight, whatever its output.
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
    const stateLse = p.input('stateLse', 'f32', [null, null, null])
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
    const join = (m: Value, l: Value, other: Value) => {
      const joined = max(m, other)
      const stable = select(joined.eq(Number.NEGATIVE_INFINITY), 0, joined)
      const [alpha, weight] = [exp(m.sub(stable)), exp(other.sub(stable))]
      return { m: joined, l: l.mul(alpha).add(weight), alpha, weight }
    }
    const merged = loop({ to: splits }, start, (split, carried) => {
      const at = split.mul(batches).add(batch)
      const next = join(carried.m as Value, carried.l as Value, load(stateLse, [at, heads, query]))
      const part = load(states, [at, query, heads, columns]) //                    [rows, Dv]
      const weighted = select(next.weight.gt(0), part.mul(next.weight), 0)
      return { m: next.m, l: next.l, acc: (carried.acc as Value).mul(next.alpha).add(weighted) }
    })
    let [m, l, acc] = [merged.m as Value, merged.l as Value, merged.acc as Value]
    if (sinkLogits) {
      const next = join(m, l, load(sinkLogits, [heads]))
      ;[m, l, acc] = [next.m, next.l, acc.mul(next.alpha)]
    }
    const some = l.gt(0)
    p.emit(store(output, [batch, query, heads, columns], acc.mul(select(some, l.reciprocal(), 0))))
    p.emit(store(lse, [batch, heads, query], select(some, m.add(log(l)), Number.NEGATIVE_INFINITY)))
  })
}
