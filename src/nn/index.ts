export {
  type ActivateBackwardOptions,
  type ActivateOptions,
  activate,
  activateBackward,
  type GatedActivationBackwardOptions,
  type GatedActivationOptions,
  gatedActivation,
  gatedActivationBackward,
} from './activate.ts'
export {
  type Activation,
  type GatedActivation,
  gelu,
  geluQuick,
  geluTanh,
  leakyRelu,
  relu,
  reluSquared,
  sigmoid,
  silu,
  softCap,
  softplus,
  tanh,
} from './activations.ts'
export { type AddOptions, add } from './add.ts'
export { type CountedAs, type CountTokensOptions, countTokens, countTokensKernel } from './count-tokens.ts'
export {
  type CrossEntropyOptions,
  type CrossEntropyScratch,
  type CrossEntropySizes,
  crossEntropy,
  crossEntropyScratch,
} from './cross-entropy.ts'
export { type EmbedOptions, embed } from './embedding.ts'
export { type EmbedBackwardOptions, embedBackward } from './embedding-backward.ts'
export { type MixtureOptions, mixture } from './experts/mixture.ts'
export {
  type MixtureBufferName,
  type MixtureMethod,
  type MixtureSizes,
  mixtureBufferSpecs,
} from './experts/mixture-plan.ts'
export {
  type ExpertWeight,
  expertBytes,
  type PlaceExpertsOptions,
  placeExperts,
  splitExperts,
} from './experts/place-experts.ts'
export { type RouteTokensOptions, routeTokens } from './experts/route-tokens.ts'
export type { RoutingGroups, RoutingScores, RoutingSpec } from './experts/routing-spec.ts'
export { type GatedLinearOptions, gatedLinear } from './gated-mlp.ts'
export { type GatherRowsOptions, gatherRows } from './gather-rows.ts'
export { type LayerNormOptions, type LayerNormSpec, layerNorm, layerNormKernel } from './layer-norm.ts'
export { type LayerNormBackwardOptions, layerNormBackward, layerNormBackwardScratch } from './layer-norm-backward.ts'
export { type LinearOptions, linear } from './linear.ts'
export { type MatmulOptions, matmul, matmulKernel } from './matmul.ts'
export { type MatmulInPartsOptions, matmulInParts, matmulParts, type ProductSize } from './matmul-in-parts.ts'
export type { MatmulSpec } from './matmul-program.ts'
export {
  type MatmulTiles,
  type MatmulTilesRequest,
  matmulTiles,
  type ProductTilesRequest,
  productTiles,
} from './matmul-tiles.ts'
export { type MeanRowsOptions, type MeanRowsSpec, meanRows, meanRowsKernel } from './mean-rows.ts'
export type { NormBackwardOptions } from './norm-backward.ts'
export { type LinearWeight, linearBytes, type PlaceLinearOptions, placeLinear } from './place-linear.ts'
export { type RmsNormOptions, type RmsNormSpec, rmsNorm, rmsNormKernel } from './rms-norm.ts'
export { rmsNormBackward, rmsNormBackwardScratch } from './rms-norm-backward.ts'
export { applyRope, type RopeKernelSpec, type RopeOptions, ropeKernel } from './rope.ts'
export {
  type RopeFrequencies,
  type RopeLayout,
  type RopeTables,
  ropeLayout,
  ropeTableBytes,
  ropeTables,
} from './rope-tables.ts'
export { loadRope, type RopePairs, type RopeTurn, rope, ropeColumns } from './rope-values.ts'
export { type SampleOptions, type SampleSpec, sample, sampleChunks, sampleKernels } from './sample.ts'
export { type SamplingSettings, settingsFields, settingsRow, settingsWidth } from './sampling/sampling-settings.ts'
export { type SumRowsOptions, type SumRowsSpec, sumRows, sumRowsKernel, sumRowsPartials } from './sum-rows.ts'
export {
  type TokenLogLikelihoodOptions,
  type TokenLogLikelihoodSpec,
  tokenLogLikelihood,
  tokenLogLikelihoodKernel,
} from './token-log-likelihood.ts'
export { type MatrixData, type WeightDType, weightBlock } from './weight-data.ts'
export { type FusedNorm, fusesNorm } from './weights/fused-norm.ts'
