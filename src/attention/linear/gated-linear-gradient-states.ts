import {
  colRange,
  defineProgram,
  dot,
  exp,
  load,
  loop,
  type Program,
  rowRange,
  store,
  zeros,
} from '../../tile/index.ts'
import { decayFactor } from './decay-factor.ts'
import {
  chunkReads,
  type GatedLinearGradientSpec,
  gradientTensors,
  sequencePlace,
} from './gated-linear-gradient-spec.ts'

/**
 * The states on both sides of each chunk: S before it, from the first chunk to the last, and R, the gradient of the state
 * after it, from the last to the first: R_before = exp(total) ⊙ R + (scale · exp(prefix) ⊙ q)ᵀ dO. One program owns tileV value
 * columns of a head of one sequence. Traffic: query, key and logDecay once per value tile, value, dOutput and states once.
 */
export function gatedLinearGradientStates(spec: GatedLinearGradientSpec): Program {
  const { chunk, tileV } = spec
  const width = Math.ceil((spec.query.shape[3] as number) / 16) * 16
  return defineProgram('gated-linear-gradient-states', (p) => {
    const { input, output } = gradientTensors(p, spec)
    const [query, key, value, logDecay, dOutput] = (['query', 'key', 'value', 'logDecay', 'dOutput'] as const).map(
      input,
    ) as [
      ReturnType<typeof input>,
      ReturnType<typeof input>,
      ReturnType<typeof input>,
      ReturnType<typeof input>,
      ReturnType<typeof input>,
    ]
    const initialState = spec.initialState && input('initialState')
    const dFinalState = spec.dFinalState && input('dFinalState')
    const states = output('states')
    const stateGradients = output('stateGradients')
    const dInitialState = spec.dInitialState && output('dInitialState')
    const scale = p.scalar('scale', 'f32')
    const [head, sequence] = [p.programId(1), p.programId(2)]
    const { row, from, to, firstSlot } = sequencePlace(p, spec, query, sequence)
    const channel = colRange(0, width) //                                               [1, D]
    const v = colRange(p.programId(0).mul(tileV), tileV) //                             [1, tileV]
    const stateAt = [head, rowRange(0, width), v] as const
    const chunks = to
      .sub(from)
      .add(chunk - 1)
      .div(chunk)
    const readsOf = (index: typeof chunks) => chunkReads(spec, { row, to, head, start: from.add(index.mul(chunk)) })

    const S0 = initialState ? load(initialState, [sequence, ...stateAt]) : zeros([width, tileV])
    loop(
      { to: chunks },
      { S: S0 },
      (index, { S }, emit) => {
        const { tile, decay, nextDecay } = readsOf(index)
        emit(store(states, [firstSlot.add(index), ...stateAt], S))
        const suffix = exp(nextDecay(logDecay, channel).cumsumRows({ reverse: true })) // [C, D]
        const total = decayFactor(decay(logDecay, channel).colSum()).T //               [D, 1]
        return { S: S.mul(total).add(dot(tile(key, channel).mul(suffix).T, tile(value, v))) } // [D, tileV]
      },
      p.emit,
    )
    const R0 = dFinalState ? load(dFinalState, [sequence, ...stateAt]) : zeros([width, tileV])
    const { R } = loop(
      { to: chunks },
      { R: R0 },
      (done, carried, emit) => {
        const index = chunks.sub(1).sub(done)
        const { tile, decay } = readsOf(index)
        emit(store(stateGradients, [firstSlot.add(index), ...stateAt], carried.R))
        const g = decay(logDecay, channel) //                                           [C, D]
        const total = decayFactor(g.colSum()).T //                                      [D, 1]
        const q = tile(query, channel).mul(scale).mul(exp(g.cumsumRows())) //           [C, D]
        return { R: carried.R.mul(total).add(dot(q.T, tile(dOutput, v))) } //           [D, tileV]
      },
      p.emit,
    )
    if (dInitialState) p.emit(store(dInitialState, [sequence, ...stateAt], R))
  })
}
