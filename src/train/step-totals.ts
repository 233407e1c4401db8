import type { Device, Tensor } from '../device/device.ts'
import { colRange, defineProgram, load, loop, type Program, sizeOf, store, zeros } from '../tile/index.ts'

const tile = 1024

/** totals += (Σ losses, Σ correct), in a fixed order. losses f32 [N], correct i32 [N], totals f32 [2]. */
export function addTotals(
  device: Device,
  tensors: { readonly losses: Tensor; readonly correct: Tensor; readonly totals: Tensor },
): void {
  device.run({ program: totalsProgram, grid: [1, 1, 1], scalars: {} }, tensors)
}

const totalsProgram: Program = defineProgram('loss-totals', (p) => {
  const losses = p.input('losses', 'f32', [null])
  const correct = p.input('correct', 'i32', [null])
  const totals = p.update('totals', 'f32', [2])
  const start = { loss: zeros([1, tile]), right: zeros([1, tile]) }
  const sums = loop({ to: sizeOf(losses, 0), step: tile }, start, (from, { loss, right }) => {
    const at = colRange(from, tile) // beyond the end zeros are read
    return { loss: loss.add(load(losses, [at])), right: right.add(load(correct, [at]).cast('f32')) }
  })
  p.emit(store(totals, [0], load(totals, [0]).add(sums.loss.rowSum())))
  p.emit(store(totals, [1], load(totals, [1]).add(sums.right.rowSum())))
})
