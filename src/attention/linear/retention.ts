import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { type GatedLinearAttentionOptions, gatedLinearAttention } from './gated-linear-attention.ts'

// Sun et al.: Retentive Network: A Successor to Transformer for Large Language Models, 2023, arXiv 2307.08621, equations 5
// to 8, without the rotation and the norm around it:
//
//   S_t = γ_h S_(t−1) + k_tᵀ v_t        o_t = scale · q_t S_t
//
// which is gated linear attention with one constant decay per head.

export interface RetentionOptions extends Omit<GatedLinearAttentionOptions, 'logDecay'> {
  /** log γ of each head [H], f32; `retentionDecays(H)` gives the paper's */
  readonly logDecay: Tensor
}

/**
 * Retention (equation above): shapes, options, results and errors are those of `gatedLinearAttention`, but `logDecay` is [H].
 * No decay per token is stored: the vector is read with a stride of 0 along batch and tokens.
 */
export function retention(device: Device, options: RetentionOptions): { output: Tensor; finalState: Tensor } {
  checkFields('retention', 'options', options, fields)
  const { query, logDecay } = options
  const [B = 0, T = 0, H = 0] = query.shape
  if (logDecay.shape.length !== 1 || logDecay.shape[0] !== H)
    throw new FoveaError('shape', 'retention', `logDecay must be [${H}], got [${logDecay.shape.join(', ')}]`)
  const perToken = logDecay.view({ shape: [B, T, H], strides: [0, 0, logDecay.strides[0] ?? 1] })
  try {
    return gatedLinearAttention(device, { ...options, logDecay: perToken })
  } finally {
    perToken.dispose()
  }
}

/** log γ_h = log(1 − 2^(−5−h)), the paper's decays (equation 8). */
export function retentionDecays(numHeads: number): Float32Array {
  return Float32Array.from({ length: numHeads }, (_, h) => Math.log1p(-(2 ** (-5 - h))))
}

const fields: FieldsOf<RetentionOptions> = {
  logDecay: true,
  query: true,
  key: true,
  value: true,
  initialState: true,
  scale: true,
  cuSeqlens: true,
  form: true,
}
