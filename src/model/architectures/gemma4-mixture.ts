import type { MlpSpec, NormSpec } from '../decoder-spec.ts'
import type { MixtureSpec } from '../mixture-spec.ts'
import type { ConfigFields } from './config-fields.ts'
import { gatedExperts, softmaxRouting } from './read-mixture.ts'

/** Experts beside the MLP, each branch with its norms. */
export function readMixture(
  config: ConfigFields,
  hiddenSize: number,
  { activation }: MlpSpec,
  norm: NormSpec,
): MixtureSpec {
  const branches = {
    ...{ beforeRouter: norm, routerFactor: hiddenSize ** -0.5 },
    ...{ beforeExperts: norm, afterExperts: norm, afterShared: norm },
  }
  const routing = softmaxRouting(config.size('top_k_experts'), true)
  return gatedExperts(config, config.size('num_experts'), config.size('moe_intermediate_size'), routing, {
    ...{ activation, expertScale: true, branches },
  })
}
