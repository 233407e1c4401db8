import {
  colRange,
  defineProgram,
  dot,
  exp,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  store,
  type TensorParam,
  type Value,
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
 * The state S before each chunk, from the first chunk to the last. One program owns tileV value columns of a head of one sequence.
 * Traffic: key and logDecay once per value tile, value and the states once.
 */
export function gatedLinearStates(spec: GatedLinearGradientSpec): Program {
  return defineProgram('gated-linear-states', (p) => {
    const { input, output } = gradientTensors(p, spec)
    const [key, value, logDecay] = [input('key'), input('value'), input('logDecay')]
    const initialState = spec.initialState && input('initialState')
    const states = output('states')
    const { channel, v, stateAt, sequence, chunks, firstSlot, readsOf } = placeOf(p, spec, key)
    const S0 = initialState ? load(initialState, [sequence, ...stateAt]) : zeros([channel.cols, spec.tileV])
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
  })
}

/**
 * The gradient R of the state after each chunk, from the last chunk to the first, and that of the initial state:
 * R_before = exp(total) ⊙ R + (scale · exp(prefix) ⊙ q)ᵀ dO. Owned and read as above.
 */
export function gatedLinearStateGradients(spec: GatedLinearGradientSpec): Program {
  return defineProgram('gated-linear-state-gradients', (p) => {
    const { input, output } = gradientTensors(p, spec)
    const [query, logDecay, dOutput] = [input('query'), input('logDecay'), input('dOutput')]
    const dFinalState = spec.dFinalState && input('dFinalState')
    const stateGradients = output('stateGradients')
    const dInitialState = spec.dInitialState && output('dInitialState')
    const scale = p.scalar('scale', 'f32')
    const { channel, v, stateAt, sequence, chunks, firstSlot, readsOf } = placeOf(p, spec, query)
    const last = dFinalState ? load(dFinalState, [sequence, ...stateAt]) : zeros([channel.cols, spec.tileV])
    const { R } = loop(
      { to: chunks },
      { R: last },
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

/** Where a program of the grid (value tile, head, sequence) stands; `tokens` is a tensor that has as many as the sequences. */
function placeOf(p: ProgramBuilder, spec: GatedLinearGradientSpec, tokens: TensorParam) {
  const { chunk, tileV } = spec
  const width = Math.ceil((spec.query.shape[3] as number) / 16) * 16
  const [head, sequence] = [p.programId(1), p.programId(2)]
  const { row, from, to, firstSlot } = sequencePlace(p, spec, tokens, sequence)
  const v = colRange(p.programId(0).mul(tileV), tileV) //                               [1, tileV]
  return {
    ...{ sequence, firstSlot, v },
    channel: colRange(0, width), //                                                     [1, D]
    stateAt: [head, rowRange(0, width), v] as const,
    chunks: to
      .sub(from)
      .add(chunk - 1)
      .div(chunk),
    readsOf: (index: Value) => chunkReads(spec, { row, to, head, start: from.add(index.mul(chunk)) }),
  }
}
