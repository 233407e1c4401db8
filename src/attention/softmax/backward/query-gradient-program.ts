import { defineProgram, dot, type Program, store, zeros } from '../../../tile/index.ts'
import { type BackwardProgramSpec, gradientTile } from './gradient-tile.ts'
import { queryPass } from './query-pass.ts'

/**
 * dQuery = scale · dS · key. One program owns tileQ queries of one head and streams the key tiles of the forward. Traffic:
 * query, dOutput and dQuery once; key and value once per query tile.
 */
export function queryGradientProgram(spec: BackwardProgramSpec): Program {
  const { dtype, alignment, headDim } = spec
  return defineProgram('flashQueryGradient', (p) => {
    const { row, qRows, head, q, qLength, scale, columns, stream } = queryPass(p, spec)
    const dQuery = p.output('dQuery', dtype, [null, null, null, headDim], { alignment })
    const { acc } = stream({ acc: zeros([spec.tileQ, columns.cols]) }, ({ tile, keys }, { acc }) => ({
      acc: acc.add(dot(gradientTile(spec, tile).dS, keys)), //                                [tileQ, D]
    }))
    p.emit(store(dQuery, [row, qRows, head, columns], acc.mul(scale), { where: q.lt(qLength) }))
  })
}
