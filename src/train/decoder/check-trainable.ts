import type { DecoderSpec, LayerSpec } from '../../model/decoder-spec.ts'
import { FoveaError } from '../../tile/index.ts'

/** What layers may have that has no gradient here, by the names that an error gives it. */
const untrained: Readonly<Record<string, (layer: LayerSpec) => unknown>> = {
  'clipped projections': ({ attention }) => attention.clip,
  ALiBi: ({ attention }) => attention.alibiSlopes,
  'attention sinks': ({ attention }) => attention.sinks,
  'chunks of attention': ({ attention }) => attention.chunk,
  'a temperature of queries': ({ attention }) => attention.temperature,
  'normalised values': ({ attention }) => attention.valueNormEps,
  'keys that serve as values': ({ attention }) => attention.keysAsValues,
  'keys of another layer': ({ attention }) => attention.keysFrom !== undefined,
  'latent attention': ({ attention }) => attention.latent,
  'gates of attention': ({ attention }) => attention.gate,
  'norms of heads that are layer norms, after rope, or of a weight each': ({ attention: { qkNorm } }) =>
    qkNorm && (qkNorm.norm.kind === 'layer' || qkNorm.afterRope || qkNorm.over === 'each head'),
  'a combination of gate and up': ({ mlp }) => mlp.combine,
  'a learned activation': ({ mlp }) => mlp.learnedActivation,
  'norms without weights': ({ norms, attention }) =>
    [...Object.values(norms), attention.qkNorm?.norm].some((norm) => norm?.weightless),
  'layer norms of 1 + weight': ({ norms }) =>
    Object.values(norms).some((norm) => norm?.kind === 'layer' && norm.offset !== 0),
  'a mixture of experts': ({ mixture }) => mixture,
  laurel: ({ laurel }) => laurel,
  'gates that count from a cut on': ({ mlp }) => mlp.gateDeviations !== undefined,
  'scaled layers': ({ outputScale }) => outputScale,
  'scaled branches': ({ branchScale }) => branchScale,
}

/** Throws `unsupported` naming the layer and what of it has no gradient here. */
export function checkTrainable(where: string, spec: DecoderSpec): void {
  const refuse = (what: string) =>
    new FoveaError('unsupported', where, `${spec.architecture} with ${what} is not trained here`)
  for (const [i, layer] of spec.layers.entries())
    for (const [what, has] of Object.entries(untrained)) if (has(layer)) throw refuse(`${what} (layer ${i})`)
  const { embedding, logits, finalNorm, perLayer, streams } = spec
  if (streams) throw refuse('several residual streams')
  if (perLayer) throw refuse('embeddings of each layer')
  if (embedding.norm) throw refuse('a norm of embeddings')
  if (embedding.firstPosition) throw refuse('positions that begin elsewhere')
  if (logits.scale !== undefined) throw refuse('scaled logits')
  if (finalNorm.weightless || (finalNorm.kind === 'layer' && finalNorm.offset !== 0)) throw refuse('its final norm')
}
