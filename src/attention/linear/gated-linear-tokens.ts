import { colRange, defineProgram, load, loop, type Program, rowRange, store, zeros } from '../../tile/index.ts'
import { decayFactor } from './decay-factor.ts'
import { type GatedLinearAttentionSpec, gatedLinearArguments } from './gated-linear-spec.ts'

/** The token-by-token form, for decoding: S = exp(g_t) ⊙ S + k_tᵀ v_t, o_t = scale · q_t S, element by element in f32. */
export function gatedLinearTokens(spec: GatedLinearAttentionSpec): Program {
  const { tileV } = spec
  return defineProgram('gated-linear-tokens', (p) => {
    const args = gatedLinearArguments(p, spec)
    const { width, head, row, sequence, scale } = args
    const channel = rowRange(0, width) //                                              [D, 1]
    const v = colRange(args.vStart, tileV) //                                          [1, tileV]
    const stateAt = [sequence, head, channel, v]
    const S0 = args.initialState ? load(args.initialState, stateAt) : zeros([width, tileV])

    const { S } = loop(
      { from: args.from, to: args.to },
      { S: S0 },
      (t, carried, emit) => {
        const q = load(args.query, [row, t, head, channel]).mul(scale) //                [D, 1]
        const k = load(args.key, [row, t, head, channel]) //                             [D, 1]
        const g = load(args.logDecay, args.perChannel ? [row, t, head, channel] : [row, t, head]) // [D, 1] or a scalar
        const S = carried.S.mul(decayFactor(g)).add(k.mul(load(args.value, [row, t, head, v]))) // [D, tileV]
        emit(store(args.output, [row, t, head, v], q.mul(S).colSum()))
        return { S }
      },
      p.emit,
    )
    p.emit(store(args.finalState, stateAt, S))
  })
}
