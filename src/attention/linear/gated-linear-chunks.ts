import {
  colRange,
  defineProgram,
  dot,
  exp,
  load,
  loop,
  type Program,
  rowRange,
  rowSum,
  select,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { channelHalves } from './channel-halves.ts'
import { decayFactor } from './decay-factor.ts'
import { type GatedLinearAttentionSpec, gatedLinearArguments } from './gated-linear-spec.ts'

/** exp of this is 0 in f32; a logDecay of −∞ would give NaN where it is multiplied by 0 */
const forgetsAll = -1e4

/**
 * The chunked form: per chunk of C tokens, o = exp(prefix) ⊙ q · S + A v and S = exp(total) ⊙ S + (exp(suffix) ⊙ k)ᵀ v, where
 * prefix sums logDecay up to a token (inclusive), suffix after it, and A holds the attention within the chunk.
 */
export function gatedLinearChunks(spec: GatedLinearAttentionSpec): Program {
  const { chunk, tileV } = spec
  return defineProgram('gated-linear-chunks', (p) => {
    const args = gatedLinearArguments(p, spec)
    const { width, head, row, sequence, to, scale, perChannel } = args
    const channel = colRange(0, width) //                                               [1, D]
    const v = colRange(args.vStart, tileV) //                                           [1, tileV]
    const stateAt = [sequence, head, rowRange(0, width), v]
    const S0 = args.initialState ? load(args.initialState, stateAt) : zeros([width, tileV])

    const { S } = loop(
      { from: args.from, to, step: chunk },
      { S: S0 },
      (start, carried, emit) => {
        const t = rowRange(start, chunk) //                                             [C, 1]
        const inside = t.lt(to)
        const tile = (x: TensorParam, columns: Value) => load(x, [row, t, head, columns], { where: inside })
        const decayAt = (tokens: Value, where: Value) =>
          load(args.logDecay, perChannel ? [row, tokens, head, channel] : [row, tokens, head], { where }).max(
            forgetsAll,
          )
        const q = tile(args.query, channel).mul(scale) //                               [C, D]
        const k = tile(args.key, channel) //                                            [C, D]
        const vTile = tile(args.value, v) //                                            [C, tileV]
        const g = decayAt(t, inside) //                                                 [C, D] or [C, 1]
        const next = t.add(1)
        const gNext = decayAt(next, next.lt(to).and(next.lt(start.add(chunk)))) //      logDecay of the token after

        const prefix = exp(g.cumsumRows()) //                                           [C, D]
        const suffix = exp(gNext.cumsumRows({ reverse: true })) //                      [C, D]
        const total = decayFactor(g.colSum()).T //                                      [D, 1]
        const A = (perChannel ? channelDecays : headDecays)(q, k, g, chunk) //          [C, C]
        const o = dot(q.mul(prefix), carried.S).add(dot(A, vTile)) //                   [C, tileV]
        emit(store(args.output, [row, t, head, v], o, { where: inside }))
        return { S: carried.S.mul(total).add(dot(k.mul(suffix).T, vTile)) } //          [D, tileV]
      },
      p.emit,
    )
    p.emit(store(args.finalState, stateAt, S))
  })
}

/** A[i, j] = q_i · k_j · exp(Σ g over j < s ≤ i) for j ≤ i, one decay per token: g is [C, 1]. */
function headDecays(q: Value, k: Value, g: Value, chunk: number): Value {
  const [i, j] = [rowRange(0, chunk), colRange(0, chunk)]
  const upTo = i.ge(j).cast('f32') //                                                   [i, s]: s ≤ i
  const between = dot(upTo, select(i.gt(j), g, 0)) //                                   [C, C]
  return select(i.ge(j), dot(q, k.T).mul(exp(between)), 0)
}

/**
 * A[i, j] = Σ_d q_id k_jd exp(Σ g_d over j < s ≤ i) for j ≤ i, one decay per channel: g is [C, D]. The exponent of a pair is
 * split where the two tokens part company (see `channelHalves`). Both ways are sums of g, hence ≤ 0.
 */
function channelDecays(q: Value, k: Value, g: Value, chunk: number): Value {
  const [i, j] = [rowRange(0, chunk), colRange(0, chunk)]
  const own = select(i.eq(j), rowSum(q.mul(k)), 0) //                                   [C, C]
  const { A } = loop({ to: Math.log2(chunk) }, { A: own }, (level, carried) => {
    const { onTheWay, pairs } = channelHalves(chunk, level)
    const toMiddle = exp(dot(onTheWay.cast('f32'), g)) //                               [C, D]
    const met = dot(q.mul(toMiddle), k.mul(toMiddle).T) //                              [C, C]
    return { A: carried.A.add(select(pairs, met, 0)) }
  })
  return A
}
