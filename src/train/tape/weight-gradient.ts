import type { Tensor } from '../../device/device.ts'
import { matmul } from '../../nn/matmul.ts'
import { matmulParts } from '../../nn/matmul-tiles.ts'
import type { TapeCore } from './tape-core.ts'

/**
 * dW += dYᵀ · X: [M, N] · [N, K] with N tokens, f32. On a GPU the tokens are cut into parts that are multiplied at once and
 * added in their order.
 */
export function addWeightGradient(
  tape: TapeCore,
  { dY, x, gradient }: { readonly dY: Tensor; readonly x: Tensor; readonly gradient: Tensor },
): void {
  const { device, workspace } = tape
  const [M = 0, N = 0] = gradient.shape
  const parts = matmulParts(device, { M, N, K: x.shape[0] ?? 0, dtype: x.dtype })
  const partials = parts > 1 ? workspace.take([parts, M, N]) : null
  const given = { a: dY, transposeA: true, b: x, output: gradient, accumulate: true }
  matmul(device, { ...given, ...(partials && { partials }) })
  if (partials) workspace.give(partials)
}
