import type { Tensor } from '../../device/device.ts'
import type { NormSpec } from '../../model/decoder-spec.ts'
import { layerNorm } from '../../nn/layer-norm.ts'
import { layerNormBackward, layerNormBackwardScratch } from '../../nn/layer-norm-backward.ts'
import { rmsNorm } from '../../nn/rms-norm.ts'
import { rmsNormBackward, rmsNormBackwardScratch } from '../../nn/rms-norm-backward.ts'
import type { TapeCore } from './tape-core.ts'
import { isTrained, type TapeWeight } from './tape-weight.ts'
import type { Variable } from './variable.ts'

/** Weight and, for a layer norm that has one, bias of a normalisation. */
export interface TapeNorm {
  readonly spec: NormSpec
  readonly weight: TapeWeight // [C]
  readonly bias: TapeWeight | null // [C]
}

/** y = (x − mean) / √(mean of squares + eps) · (offset + weight) + bias over the last dimension of x [N, C]; an RMS norm subtracts no mean. */
export function norm(tape: TapeCore, x: Variable, of: TapeNorm): Variable {
  const input = x.value
  const y = tape.empty(x.shape, x.dtype, x.needsGradient || isTrained(of.weight, of.bias))
  enqueueNorm(tape, of, input, y.value)
  return tape.note({
    output: y,
    keeps: [x],
    backward() {
      const dOutput = y.gradient?.tensor as Tensor
      // a norm over what needs no gradient still has a weight that does
      if (!x.needsGradient) {
        const unused = tape.take(x.shape, x.dtype)
        enqueueNormBackward(tape, of, { x: input, dOutput, dX: unused.tensor, add: false })
        unused.drop()
      } else
        tape.addGradient(x, (dX, add) => enqueueNormBackward(tape, of, { x: input, dOutput, dX, add }), { adds: true })
    },
  })
}

/** Enqueues the values. x and output may be views [N, H, D] of rows. */
export function enqueueNorm(tape: TapeCore, { spec, weight, bias }: TapeNorm, x: Tensor, output: Tensor): void {
  const { eps, offset } = spec
  if (spec.kind === 'rms') rmsNorm(tape.device, { x, weight: weight.weight, eps, offset, output })
  else layerNorm(tape.device, { x, weight: weight.weight, ...(bias && { bias: bias.weight }), eps, output })
}

/** Enqueues the gradients: dX is written, or added to, and those of weight and bias are added to. */
export function enqueueNormBackward(
  tape: TapeCore,
  { spec, weight, bias }: TapeNorm,
  tensors: { readonly x: Tensor; readonly dOutput: Tensor; readonly dX: Tensor; readonly add: boolean },
): void {
  const { device, workspace } = tape
  const { x, dOutput, dX, add } = tensors
  const { eps, offset } = spec
  const sums = [weight.gradient, bias?.gradient ?? null].filter((sum) => sum !== null).length as 0 | 1 | 2
  const scratch =
    sums === 0
      ? null
      : workspace.take(spec.kind === 'rms' ? rmsNormBackwardScratch(x.shape) : layerNormBackwardScratch(x.shape))
  const common = {
    ...{ x, weight: weight.weight, eps, offset, dOutput, dX, accumulateX: add },
    ...(weight.gradient && { dWeight: weight.gradient }),
    ...(scratch && { scratch }),
  }
  if (spec.kind === 'rms') rmsNormBackward(device, common)
  else layerNormBackward(device, { ...common, ...(bias?.gradient && { dBias: bias.gradient }) })
  if (scratch) workspace.give(scratch)
}
