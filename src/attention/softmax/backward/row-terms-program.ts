import {
  colRange,
  defineProgram,
  load,
  type Program,
  rowRange,
  rowSum,
  type StorageDType,
  store,
} from '../../../tile/index.ts'
import type { NormalizerGradient } from '../../backward/weight-gradient.ts'
import { roundUp } from '../flash-program.ts'

/** query rows of one program */
export const rowTermsTile = 32

/**
 * What the backward keeps of each query row, from one reading of output and dOutput, f32 [terms, B, H, T]: the terms of the
 * normalizer's derivative, from lse, delta = Σ_d dOutput·output, dLse, the sink and the state that it stores; with sinks,
 * one more, what the row gives its head's sink.
 */
export function rowTermsProgram(spec: {
  readonly dtype: StorageDType
  readonly valueDim: number
  readonly padTo: number
  readonly alignment: number
  readonly dLse: boolean
  readonly sinks: boolean
  readonly gradient: NormalizerGradient
}): Program {
  const { dtype, valueDim, alignment, gradient } = spec
  const { stored } = gradient
  const width = roundUp(valueDim, spec.padTo)
  return defineProgram('flashRowTerms', (p) => {
    const output = p.input('output', dtype, [null, null, null, valueDim], { alignment })
    const dOutput = p.input('dOutput', dtype, [null, null, null, valueDim], { alignment })
    const lse = p.input('lse', 'f32', [null, null, null])
    const dLse = spec.dLse ? p.input('dLse', 'f32', [null, null, null]) : null
    const sinks = spec.sinks ? p.input('sinks', 'f32', [null]) : null
    const states = stored.length > 0 ? p.input('states', 'f32', [stored.length, null, null, null]) : null
    const rows = p.output('rows', 'f32', [null, null, null, null])

    const q = rowRange(p.programId(0).mul(rowTermsTile), rowTermsTile) //        [tile, 1]
    const [head, batch] = [p.programId(1), p.programId(2)]
    const at = [batch, q, head, colRange(0, width)] as const
    const { terms, dSink } = gradient.rows({
      lse: load(lse, [batch, head, q]),
      delta: rowSum(load(output, at).cast('f32').mul(load(dOutput, at).cast('f32'))),
      dLse: dLse && load(dLse, [batch, head, q]),
      sink: sinks && load(sinks, [head]),
      state: states ? Object.fromEntries(stored.map((name, i) => [name, load(states, [i, batch, head, q])])) : {},
    })
    const all = dSink ? [...terms, dSink] : terms
    all.forEach((term, i) => {
      p.emit(store(rows, [i, batch, head, q], term.broadcastTo(rowTermsTile, 1)))
    })
  })
}
