/** What a step of training did. */
export interface StepResult {
  /** counted from 1 */
  readonly step: number
  /** mean over the tokens with a target, in nats; 0 where none has one */
  readonly loss: number
  /** part of these tokens whose logit was the highest; 0 where there are none */
  readonly accuracy: number
  /** tokens with a target; without any, nothing is changed: no momentum, no decay */
  readonly targets: number
  /** of the gradients, before they were clipped */
  readonly gradientNorm: number
  readonly learningRate: number
  readonly lossScale: number
  /** true: gradients overflowed, or no token had a target, and nothing was changed */
  readonly skipped: boolean
  /** tokens that went in */
  readonly tokens: number
  /** since the step before was done */
  readonly seconds: number
}
