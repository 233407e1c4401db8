import { scalar, type Value } from '../tile/index.ts'

/** An element-wise function of a tile, for epilogues: any function over values will do; these are the usual ones. */
export type Activation = (x: Value) => Value

/** What becomes of a gate and what it lets through, element by element: activation(gate) · up in most models. */
export type GatedActivation = (gate: Value, up: Value) => Value

/** max(x, 0) */
export const relu: Activation = (x) => x.max(0)

/** max(x, 0)² (So et al. 2021, Primer, arXiv 2109.08668) */
export const reluSquared: Activation = (x) => {
  const positive = x.max(0)
  return positive.mul(positive)
}

/** x for x > 0, else slope · x */
export function leakyRelu(slope = 0.01): Activation {
  return (x) => x.gt(0).select(x, x.mul(slope))
}

/** x · Φ(x) with the normal distribution's Φ by erf (Hendrycks and Gimpel 2016, arXiv 1606.08415) */
export const gelu: Activation = (x) => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1))

/** gelu's approximation 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), same paper */
export const geluTanh: Activation = (x) => {
  // 1 + tanh(y) = 2 sigmoid(2 y), which keeps the small negative tail that the sum would cancel
  const cubic = x.mul(x).mul(0.044715).add(1).mul(x)
  return x.mul(cubic.mul(2 * Math.sqrt(2 / Math.PI)).sigmoid())
}

/** x · sigmoid(1.702 x), the other approximation of gelu */
export const geluQuick: Activation = (x) => x.mul(x.mul(1.702).sigmoid())

/** x · sigmoid(x), also called swish (Elfwing et al. 2017, arXiv 1702.03118) */
export const silu: Activation = (x) => x.mul(x.sigmoid())

/** 1 / (1 + e⁻ˣ) */
export const sigmoid: Activation = (x) => x.sigmoid()

/** log(1 + eˣ), without overflow */
export const softplus: Activation = (x) => x.max(0).add(x.abs().neg().exp().add(1).log())

/** hyperbolic tangent */
export const tanh: Activation = (x) => x.tanh()

/** c · tanh(x / c): keeps logits within ±c (Gemma 2, arXiv 2408.00118) */
export function softCap(c: number): Activation {
  return (x) => x.div(c).tanh().mul(scalar(c))
}
