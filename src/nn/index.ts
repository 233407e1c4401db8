export {
  type Activation,
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
export { type MatmulOptions, type MatmulSpec, matmul, matmulKernel } from './matmul.ts'
export { type MatmulTiles, matmulTiles } from './matmul-tiles.ts'
export { type RmsNormOptions, type RmsNormSpec, rmsNorm, rmsNormKernel } from './rms-norm.ts'
