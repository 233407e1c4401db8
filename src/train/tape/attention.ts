import type { Tensor } from '../../device/device.ts'
import type { AttentionKernel } from '../attention-kernel.ts'
import { type CapturedWeights, enqueueAttentionBackward, readInPlace } from './captured-weights.ts'
import type { TapeCore } from './tape-core.ts'
import { isTrained } from './tape-weight.ts'
import type { Held, Variable } from './variable.ts'

/**
 * Attention with everything made ahead: `prepareTrainableAttention` for query [B, T, H, D], key and value [B, S, Hkv, D].
 * `captured`: trained weights that its score function reads. Gives [B, T, H, Dv].
 */
export function attention(
  tape: TapeCore,
  { query, key, value }: { readonly query: Variable; readonly key: Variable; readonly value: Variable },
  kernel: AttentionKernel,
  captured: CapturedWeights = new Map(),
): Variable {
  const [batch = 0, tokens = 0, heads = 0] = query.shape
  const inputs = [query, key, value]
  const lse = tape.workspace.take([batch, heads, tokens])
  const y = tape.empty(
    [batch, tokens, heads, value.shape[3] as number],
    query.dtype,
    inputs.some(({ needsGradient }) => needsGradient) || isTrained(...captured.values()),
  )
  const bound = { query: query.value, key: key.value, value: value.value, output: y.value, lse }
  kernel.forward(bound, readInPlace(captured))
  return tape.note({
    output: y,
    keeps: [...inputs, y],
    scratch: [lse],
    backward() {
      const [dQuery, dKey, dValue] = inputs.map(({ shape, dtype }) => tape.take(shape, dtype)) as [Held, Held, Held]
      const gradients = { dQuery: dQuery.tensor, dKey: dKey.tensor, dValue: dValue.tensor }
      const dOutput = y.gradient?.tensor as Tensor
      enqueueAttentionBackward(tape, kernel, { ...bound, dOutput, ...gradients }, captured)
      for (const [variable, gradient] of [
        [query, dQuery],
        [key, dKey],
        [value, dValue],
      ] as const)
        tape.giveGradient(variable, gradient)
    },
  })
}
