/** A normalisation: y = (x − mean) / √(mean of squares + eps) · (offset + weight) + bias; `rms` subtracts no mean. */
export interface NormSpec {
  readonly kind: 'rms' | 'layer'
  readonly eps: number
  /** added to the weight: 1 for Gemma, else 0 */
  readonly offset: number
  readonly bias: boolean
  /** the file has no weight: 1 in its place (OLMo) */
  readonly weightless?: true
}
