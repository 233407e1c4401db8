import {
  colRange,
  defineProgram,
  exp,
  load,
  type Program,
  rowRange,
  rowSum,
  type StorageDType,
  select,
  store,
} from '../../../tile/index.ts'
import { rowTermNames } from './gradient-tile.ts'

/** query rows of one program */
export const rowTermsTile = 32

/**
 * What the backward needs of each query row, from one reading of output and dOutput: lse in log2 units (+∞ for a row that
 * attends to nothing, so that its weights are 0), delta = Σ_d dOutput·output − dLse, and, with sinks, the gradient that the
 * row gives its head's sink: −exp(sink − lse) · delta.
 */
export function rowTermsProgram(spec: {
  readonly dtype: StorageDType
  readonly valueDim: number
  readonly padTo: number
  readonly alignment: number
  readonly dLse: boolean
  readonly sinks: boolean
}): Program {
  const { dtype, valueDim, alignment } = spec
  const width = Math.ceil(valueDim / spec.padTo) * spec.padTo
  return defineProgram('flashRowTerms', (p) => {
    const output = p.input('output', dtype, [null, null, null, valueDim], { alignment })
    const dOutput = p.input('dOutput', dtype, [null, null, null, valueDim], { alignment })
    const lse = p.input('lse', 'f32', [null, null, null])
    const dLse = spec.dLse ? p.input('dLse', 'f32', [null, null, null]) : null
    const sinks = spec.sinks ? p.input('sinks', 'f32', [null]) : null
    const rows = p.output('rows', 'f32', [null, null, null, null])

    const q = rowRange(p.programId(0).mul(rowTermsTile), rowTermsTile) //        [tile, 1]
    const [head, batch] = [p.programId(1), p.programId(2)]
    const at = [batch, q, head, colRange(0, width)] as const
    let delta = rowSum(load(output, at).cast('f32').mul(load(dOutput, at).cast('f32')))
    if (dLse) delta = delta.sub(load(dLse, [batch, head, q]))
    const logSum = load(lse, [batch, head, q])
    const none = logSum.eq(Number.NEGATIVE_INFINITY)
    const terms = { lse: select(none, Number.POSITIVE_INFINITY, logSum.mul(Math.LOG2E)), delta }
    rowTermNames.forEach((name, term) => {
      p.emit(store(rows, [term, batch, head, q], terms[name]))
    })
    if (!sinks) return
    const share = select(none, 0, exp(load(sinks, [head]).sub(logSum)))
    p.emit(store(rows, [rowTermNames.length, batch, head, q], share.mul(delta).neg()))
  })
}
