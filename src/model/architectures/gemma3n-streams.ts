import type { WeightNames } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { rmsNorm } from './plain-decoder.ts'

/** streams that names are known for */
const mostStreams = 9

/** The streams of AltUp. Throws `format`. */
export function readStreams(config: ConfigFields, hiddenSize: number) {
  const count = config.size('altup_num_inputs', 4)
  if (count > mostStreams) throw config.fault('altup_num_inputs', `must be at most ${mostStreams}, got ${count}`)
  const active = config.token('altup_active_idx') ?? 0
  if (active >= count) throw config.fault('altup_active_idx', `must be below the ${count} streams, got ${active}`)
  const scale = config.flag('altup_correct_scale', true)
  return { count, active, norm: rmsNorm(config), routerFactor: 1 / hiddenSize, scale }
}

export function streamNames(): WeightNames {
  const beside = Array.from({ length: mostStreams - 1 }, (_, i) => [
    [`streams.into.${i}`, `altup_projections.${i}`],
    [`streams.outOf.${i}`, `altup_unembed_projections.${i}`],
  ])
  return {
    ...Object.fromEntries(beside.flat()),
    'layers.N.streams.norm': 'layers.N.altup.router_norm',
    'layers.N.streams.router': 'layers.N.altup.modality_router',
    'layers.N.streams.prediction': 'layers.N.altup.prediction_coefs',
    'layers.N.streams.correction': 'layers.N.altup.correction_coefs',
    'layers.N.streams.scale': { tensor: 'layers.N.altup.correct_output_scale', bare: true },
  }
}
