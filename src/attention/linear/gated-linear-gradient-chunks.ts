import {
  colRange,
  defineProgram,
  dot,
  exp,
  load,
  loop,
  min,
  type Program,
  rowRange,
  rowSum,
  select,
  store,
  type Value,
  zeros,
} from '../../tile/index.ts'
import { channelHalves } from './channel-halves.ts'
import { decayFactor } from './decay-factor.ts'
import {
  chunkReads,
  type GatedLinearGradientSpec,
  gradientTensors,
  sequencePlace,
} from './gated-linear-gradient-spec.ts'

export const gatedLinearGradients = ['dQuery', 'dKey', 'dValue', 'dLogDecay'] as const
export type GatedLinearGradient = (typeof gatedLinearGradients)[number]

/**
 * The gradients of one chunk, or those of them that `outputs` names, from the state S before it and the gradient R of the state after it. One program owns a chunk of
 * a head; chunks do not wait for each other. With W = dO vᵀ, E_ij the decay from token j to token i, and own terms i = j apart:
 *
 *   dq_i = scale (exp(prefix_i) ⊙ dO_i Sᵀ + Σ_(j≤i) W_ij E_ij ⊙ k_j)        dv_j = (exp(suffix_j) ⊙ k_j) R + Σ_(i≥j) A_ij dO_i
 *   dk_j = exp(suffix_j) ⊙ v_j Rᵀ + scale Σ_(i≥j) W_ij E_ij ⊙ q_i
 *   dg_t = exp(total) ⊙ rowsum(S ∘ R) + every product q ⊙ (part of dq) or k ⊙ (part of dk) whose decay runs through token t
 *
 * The last line is taken from sums over tokens of the chunk alone; pairs on one side of t cancel to rounding.
 */
export function gatedLinearGradientChunks(
  spec: GatedLinearGradientSpec,
  outputs: readonly GatedLinearGradient[] = gatedLinearGradients,
): Program {
  const { chunk } = spec
  const roundUp = (n: number) => Math.ceil(n / 16) * 16
  const [width, valueWidth] = [roundUp(spec.query.shape[3] as number), roundUp(spec.value.shape[3] as number)]
  const perChannel = spec.logDecay.shape.length === 4
  return defineProgram('gated-linear-gradient-chunks', (p) => {
    const { input, output } = gradientTensors(p, spec)
    const query = input('query')
    const key = input('key')
    const value = input('value')
    const logDecay = input('logDecay')
    const dOutput = input('dOutput')
    const states = input('states')
    const stateGradients = input('stateGradients')
    const [dQuery, dKey, dValue, dLogDecay] = gatedLinearGradients.map((name) =>
      outputs.includes(name) ? output(name) : null,
    )
    const scale = p.scalar('scale', 'f32')
    const [index, head, sequence] = [p.programId(0), p.programId(1), p.programId(2)]
    const { row, from, to, firstSlot } = sequencePlace(p, spec, query, sequence)
    const channel = colRange(0, width) //                                               [1, D]
    const v = colRange(0, valueWidth) //                                                [1, Dv]
    const first = from.add(index.mul(chunk))

    // once, or not at all where the sequence has no such chunk
    const body = (start: Value, emit: typeof p.emit) => {
      const { t, inside, tile, decay, nextDecay } = chunkReads(spec, { row, to, head, start })
      const q = tile(query, channel).mul(scale) //                                      [C, D]
      const k = tile(key, channel) //                                                   [C, D]
      const vTile = tile(value, v) //                                                   [C, Dv]
      const dO = tile(dOutput, v) //                                                    [C, Dv]
      const g = decay(logDecay, channel) //                                             [C, D] or [C, 1]
      const slot = [firstSlot.add(index), head, rowRange(0, width), v]
      const [S, R] = [load(states, slot), load(stateGradients, slot)] //                [D, Dv]
      const prefix = exp(g.cumsumRows()) //                                             [C, D]
      const suffix = exp(nextDecay(logDecay, channel).cumsumRows({ reverse: true })) // [C, D]
      const total = decayFactor(g.colSum()) //                                          [1, D] or a scalar

      const W = dot(dO, vTile.T) //                                                     [C, C]
      const { A, dq, dk } = (perChannel ? channelPairs : tokenPairs)({ q, k, g, W, chunk })
      const ownW = rowSum(dO.mul(vTile)) //                                             [C, 1]
      const [i, j] = [rowRange(0, chunk), colRange(0, chunk)]
      const all = A.add(select(i.eq(j), rowSum(q.mul(k)), 0)) //                        [C, C]
      const dqAcross = prefix.mul(dot(dO, S.T)) //                                      [C, D]
      const dkAcross = suffix.mul(dot(vTile, R.T)) //                                   [C, D]

      const at = (columns: Value) => [row, t, head, columns]
      const where = { where: inside }
      if (dQuery) emit(store(dQuery, at(channel), dqAcross.add(dq).add(ownW.mul(k)).mul(scale), where))
      if (dKey) emit(store(dKey, at(channel), dkAcross.add(dk).add(ownW.mul(q)), where))
      if (dValue) emit(store(dValue, at(v), dot(k.mul(suffix), R).add(dot(all.T, dO)), where))
      // what comes from before t, and what from t on
      const before = dot(i.gt(j).cast('f32'), k.mul(dkAcross)) //                       [C, D]
      const onward = dot(i.le(j).cast('f32'), q.mul(dqAcross.add(dq)).sub(k.mul(dk))) // [C, D]
      const through = total.mul(rowSum(S.mul(R)).T) //                                  [1, D]
      const dg = before.add(onward).add(through) //                                     [C, D]
      if (!dLogDecay) return
      if (perChannel) emit(store(dLogDecay, at(channel), dg, where))
      else emit(store(dLogDecay, [row, t, head], rowSum(dg), where))
    }
    loop(
      { from: first, to: min(first.add(1), to) },
      {},
      (start, _, emit) => {
        body(start, emit)
        return {}
      },
      p.emit,
    )
  })
}

interface ChunkPairs {
  readonly q: Value // [C, D], scaled
  readonly k: Value // [C, D]
  readonly g: Value // [C, D] or [C, 1]
  readonly W: Value // [C, C]
  readonly chunk: number
}

/** Pairs of different tokens, one decay per token: A [C, C], and the parts of dq (without scale) and dk [C, D]. */
function tokenPairs({ q, k, g, W, chunk }: ChunkPairs): { A: Value; dq: Value; dk: Value } {
  const [i, j] = [rowRange(0, chunk), colRange(0, chunk)]
  const between = dot(i.ge(j).cast('f32'), select(i.gt(j), g, 0)) //                    [C, C]
  const E = select(i.gt(j), exp(between), 0) //                                         [C, C]
  const WE = W.mul(E)
  return { A: dot(q, k.T).mul(E), dq: dot(WE, k), dk: dot(WE.T, q) }
}

/** The same, one decay per channel, level by level (see `channelHalves`). */
function channelPairs({ q, k, g, W, chunk }: ChunkPairs): { A: Value; dq: Value; dk: Value } {
  const start = { A: zeros([chunk, chunk]), dq: zeros([chunk, q.cols]), dk: zeros([chunk, q.cols]) }
  return loop({ to: Math.log2(chunk) }, start, (level, carried) => {
    const { onTheWay, pairs } = channelHalves(chunk, level)
    const toMiddle = exp(dot(onTheWay.cast('f32'), g)) //                               [C, D]
    const [qMiddle, kMiddle] = [q.mul(toMiddle), k.mul(toMiddle)] //                    [C, D]
    const here = select(pairs, W, 0) //                                                 [C, C]
    return {
      A: carried.A.add(select(pairs, dot(qMiddle, kMiddle.T), 0)),
      dq: carried.dq.add(toMiddle.mul(dot(here, kMiddle))),
      dk: carried.dk.add(toMiddle.mul(dot(here.T, qMiddle))),
    }
  })
}
