import type { BackwardTensors } from '../../attention/softmax/backward/backward-passes.ts'
import type { Tensor } from '../../device/device.ts'
import { accumulate } from '../../nn/accumulate.ts'
import type { AttentionKernel } from '../attention-kernel.ts'
import type { TapeCore } from './tape-core.ts'
import type { TapeWeight } from './tape-weight.ts'

/**
 * Weights that the score function of an attention reads, by the tensors that it captured when its kernel was prepared: those
 * themselves, or those of another layer that attends alike.
 */
export type CapturedWeights = ReadonlyMap<Tensor, TapeWeight>

/** What kernels read in place of what was captured. */
export function readInPlace(captured: CapturedWeights): ReadonlyMap<Tensor, Tensor> {
  return new Map([...captured].map(([tensor, { weight }]) => [tensor, weight]))
}

/** Enqueues the backward of an attention, and adds what it gives to captured weights that are trained to their gradients. */
export function enqueueAttentionBackward(
  tape: TapeCore,
  kernel: AttentionKernel,
  tensors: Omit<BackwardTensors, 'dCaptured'>,
  captured: CapturedWeights,
): void {
  const { device, workspace } = tape
  const parts = [...captured].flatMap(([tensor, { gradient }]) =>
    gradient ? [{ tensor, gradient, part: workspace.take(gradient.shape) }] : [],
  )
  const dCaptured = new Map(parts.map(({ tensor, part }) => [tensor, part]))
  kernel.backward({ ...tensors, ...(parts.length > 0 && { dCaptured }) }, readInPlace(captured))
  for (const { gradient, part } of parts) {
    const width = gradient.shape.at(-1) ?? 1
    const flat = (tensor: Tensor) => workspace.view(tensor, { shape: [tensor.size / width, width] })
    accumulate(device, { x: flat(part), output: flat(gradient) })
    workspace.give(part)
  }
}
