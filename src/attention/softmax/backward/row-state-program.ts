import { defineProgram, type Program, store, type Value } from '../../../tile/index.ts'
import { type BackwardProgramSpec, maskedScores } from './gradient-tile.ts'
import { queryPass } from './query-pass.ts'

/**
 * The final state of a normalizer that cannot resume from lse, f32 [names, B, H, T]: the forward without its values. One
 * program owns tileQ queries of one head and streams the key tiles of its item.
 */
export function rowStateProgram(spec: BackwardProgramSpec): Program {
  const { normalizer, gradient } = spec
  return defineProgram('flashRowState', (p) => {
    const { row, qRows, head, q, qLength, stream } = queryPass(p, spec, { scoresOnly: true })
    const states = p.output('states', 'f32', [gradient.stored.length, null, null, null])
    const final = stream(
      normalizer.init(spec.tileQ),
      ({ tile }, carried) => normalizer.step(carried, maskedScores(spec, tile).s).state,
    )
    gradient.stored.forEach((name, i) => {
      p.emit(store(states, [i, row, head, qRows], final[name] as Value, { where: q.lt(qLength) }))
    })
  })
}
