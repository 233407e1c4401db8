import { gatedLinearAttentionKernel, gatedLinearTiles } from '../../attention/linear/gated-linear-attention.ts'
import {
  gatedLinearAttentionBackward,
  gatedLinearAttentionBackwardScratch,
} from '../../attention/linear/gated-linear-attention-backward.ts'
import type { Tensor } from '../../device/device.ts'
import type { AttentionSpec } from '../../model/decoder-spec.ts'
import { activate } from '../../nn/activate.ts'
import { type Activation, softplus } from '../../nn/activations.ts'
import type { TapeCore } from '../tape/tape-core.ts'
import type { Variable } from '../tape/variable.ts'

/** log σ(x) / divisor: a decay near 1 for x about 0 (Yang et al. 2023, arXiv 2312.06635, section 4.4, which divides by 16). */
export function logDecayOf(divisor: number): Activation {
  return (x) => softplus(x.neg()).mul(-1 / divisor)
}

/**
 * Gated linear attention in the place of softmax attention: qkv [N, 3 · H · D] and log decays [N, H] (natural log, ≤ 0) to
 * [N, H · D]; N = B · T, one decay per token and head (arXiv 2312.06635, 2405.21060).
 */
export function attendLinear(
  tape: TapeCore,
  qkv: Variable,
  logDecay: Variable,
  of: { readonly spec: AttentionSpec; readonly batch: number; readonly length: number },
): Variable {
  const { device, workspace } = tape
  const { batch, length, spec } = of
  const { numHeads: H, headDim: D, scale } = spec
  const input = qkv.value
  const decays = logDecay.value
  const rows = batch * length
  const heads = (tensor: Tensor, part: number) => {
    const row = tensor.strides[0] as number
    return workspace.view(tensor, {
      shape: [batch, length, H, D],
      strides: [length * row, row, D, 1],
      offset: tensor.offset + part * H * D,
    })
  }
  const byToken = (tensor: Tensor) => workspace.view(tensor, { shape: [batch, length, H] })
  const inputs = () => ({
    ...{ query: heads(input, 0), key: heads(input, 1), value: heads(input, 2) },
    logDecay: byToken(decays),
  })

  const y = tape.empty([rows, H * D], qkv.dtype, qkv.needsGradient || logDecay.needsGradient)
  const finalState = workspace.take([batch, H, D, D])
  const bound = { ...inputs(), output: heads(y.value, 0), finalState }
  const form = device.kind === 'webgpu' && length > 8 ? ('chunked' as const) : ('recurrent' as const)
  const tiles = gatedLinearTiles(device, D, D)
  device.run(
    gatedLinearAttentionKernel({ ...bound, initialState: null, cuSeqlens: null, scale, form, ...tiles }),
    bound,
  )
  workspace.give(finalState)

  return tape.note({
    output: y,
    keeps: [qkv, logDecay],
    backward() {
      const dOutput = heads(y.gradient?.tensor as Tensor, 0)
      const sizes = gatedLinearAttentionBackwardScratch({
        query: { shape: [batch, length, H, D] },
        value: { shape: [batch, length, H, D] },
        sequences: batch,
      })
      const scratch = {
        states: workspace.take(sizes.states),
        stateGradients: workspace.take(sizes.stateGradients),
      }
      // one kernel writes all gradients, so each has memory of its own
      const parts = [0, 1, 2].map(() => workspace.take([rows, H * D], qkv.dtype)) as [Tensor, Tensor, Tensor]
      const dLogDecay = tape.take(logDecay.shape, logDecay.dtype)
      const [dQuery, dKey, dValue] = parts.map((part) => heads(part, 0)) as [Tensor, Tensor, Tensor]
      gatedLinearAttentionBackward(device, {
        ...{ ...inputs(), dOutput, dQuery, dKey, dValue, scale, scratch },
        dLogDecay: byToken(dLogDecay.tensor),
      })
      tape.addGradient(qkv, (dInput) => {
        for (const [i, x] of parts.entries())
          activate(device, { x, activation: (v) => v, output: workspace.columns(dInput, i * H * D, (i + 1) * H * D) })
      })
      tape.giveGradient(logDecay, dLogDecay)
      for (const tensor of [scratch.states, scratch.stateGradients, ...parts]) workspace.give(tensor)
    },
  })
}
