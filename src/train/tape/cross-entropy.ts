import type { Tensor } from '../../device/device.ts'
import { crossEntropy as crossEntropyKernels, crossEntropyScratch } from '../../nn/cross-entropy.ts'
import type { OutputHead } from './output-head.ts'
import type { TapeCore } from './tape-core.ts'
import type { Variable } from './variable.ts'

export interface CrossEntropyRequest {
  readonly head: OutputHead
  /** −1: no loss */
  readonly targets: Tensor // i32 [N]
  /** what the gradient of each loss is: the loss scale by the number of losses, for the gradient of their mean */
  readonly factor: Tensor // f32 [1]
  /** natural units; 0 where there is no target */
  readonly losses: Tensor // f32 [N]
  /** 1 where the target's logit is above all others */
  readonly correct?: Tensor // i32 [N]
}

/** a GPU is kept busy by large chunks of logits */
const scratchBytes = { webgpu: 512e6, wasm: 64e6, interpret: 64e6 } as const

/**
 * losses[n] = log Σ_v exp(logits[n, v]) − logits[n, targets[n]] with logits = softCap(hidden · weightᵀ + bias), which never
 * exist as a whole; on a tape that records, the gradients by hidden, weight and bias, times `factor`, are found at once.
 */
export function crossEntropy(tape: TapeCore, hidden: Variable, request: CrossEntropyRequest): void {
  const { device, workspace } = tape
  const { head, targets, factor, losses, correct } = request
  const { weight, bias, softCap } = head
  const [rows = 0] = hidden.shape
  const gradients = tape.recording
  const lse = workspace.take([rows])
  const dHidden = gradients && hidden.needsGradient ? tape.take(hidden.shape, hidden.dtype) : null
  const plan = crossEntropyScratch({
    tokens: rows,
    vocabulary: weight.compute.shape[0] as number,
    width: weight.compute.shape[1] as number,
    kind: device.kind,
    dtype: hidden.dtype,
    gradients,
    maxBytes: Math.min(scratchBytes[device.kind], device.info.limits.maxStorageBufferBindingSize ?? 2 ** 31),
  })
  const logits = workspace.take(plan.logits.shape, plan.logits.dtype)
  const gradient = plan.gradient && workspace.take(plan.gradient.shape, plan.gradient.dtype)
  const partials = plan.partials ? workspace.take(plan.partials.shape, plan.partials.dtype) : null
  crossEntropyKernels(device, {
    hidden: hidden.value,
    weight: weight.compute,
    ...(bias && { bias: bias.weight }),
    softCap,
    targets,
    losses,
    lse,
    ...(correct && { correct }),
    ...(gradients && { factor }),
    ...(dHidden && { dHidden: dHidden.tensor }),
    ...(gradients && weight.gradient && { dWeight: weight.gradient }),
    ...(gradients && bias?.gradient && { dBias: bias.gradient }),
    scratch: { logits, gradient, partials },
  })
  for (const tensor of [lse, logits, gradient, partials]) if (tensor) workspace.give(tensor)
  if (dHidden) tape.giveGradient(hidden, dHidden)
}
