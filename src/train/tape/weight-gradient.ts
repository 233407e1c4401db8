import type { Tensor } from '../../device/device.ts'
import { matmul } from '../../nn/matmul.ts'
import { matmulInParts, matmulParts } from '../../nn/matmul-in-parts.ts'
import type { TapeCore } from './tape-core.ts'

/**
 * dW += dYᵀ · X: [M, N] · [N, K] with N tokens, f32. Where the weight is few tiles the tokens are cut into parts, which are
 * multiplied at once and added in their order.
 */
export function addWeightGradient(
  tape: TapeCore,
  { dY, x, gradient }: { readonly dY: Tensor; readonly x: Tensor; readonly gradient: Tensor },
): void {
  const { device, workspace } = tape
  const [M = 0, N = 0] = gradient.shape
  const product = { a: dY, transposeA: true, b: x, output: gradient, accumulate: true }
  const parts = matmulParts({ kind: device.kind, M, N, K: x.shape[0] ?? 0 })
  if (parts === 1) {
    matmul(device, product)
    return
  }
  const partials = workspace.take([parts, M, N])
  matmulInParts(device, { ...product, partials })
  workspace.give(partials)
}
