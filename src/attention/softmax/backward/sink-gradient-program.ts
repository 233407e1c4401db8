import { colRange, defineProgram, load, loop, type Program, rowSum, sizeOf, store, zeros } from '../../../tile/index.ts'

const tile = 256

/** dSinks[head] = the sum over batch and queries of what each row gives its sink (row term `term`): one program per head. */
export function sinkGradientProgram(term: number): Program {
  return defineProgram('flashSinkGradient', (p) => {
    const rows = p.input('rows', 'f32', [null, null, null, null])
    const dSinks = p.output('dSinks', 'f32', [null])
    const head = p.programId(0)
    const { sum } = loop({ to: sizeOf(rows, 1) }, { sum: zeros([1, tile]) }, (batch, outer) =>
      loop({ to: sizeOf(rows, 3), step: tile }, outer, (from, { sum }) => ({
        sum: sum.add(load(rows, [term, batch, head, colRange(from, tile)])), // [1, tile]
      })),
    )
    p.emit(store(dSinks, [head], rowSum(sum)))
  })
}
