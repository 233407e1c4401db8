import type { Device, Tensor } from '../../device/device.ts'
import { colRange, defineProgram, type Kernel, load, loop, sizeOf, store, zeros } from '../../tile/index.ts'

/** Biases of experts from … to−1 of a weight, for the pairs of tokens. */
export interface ExpertBias {
  readonly from: number
  readonly to: number
  readonly bias: Tensor // [(to − from) · C]
  readonly chosen: Tensor // [N · K] i32
  readonly weights: Tensor | null // [N · K] f32; null: 1
  readonly output: Tensor // [N, C]
}

const tileD = 256

/**
 * output[n] += Σ over the pairs p of token n whose expert is one of these of weights[p] · bias[expert]: where a product binds too
 * many tensors to add it itself. A program owns a stretch of a row.
 */
export function addExpertBias(device: Device, { from, to, bias, chosen, weights, output }: ExpertBias): void {
  const program = defineProgram('add-expert-bias', (p) => {
    const biases = p.input('bias', 'f32', [null])
    const experts = p.input('chosen', 'i32', [null])
    const factors = weights ? p.input('weights', 'f32', [null]) : null
    const target = p.update('output', output.dtype, [null, null])
    const [first, end, perToken] = [p.scalar('from', 'i32'), p.scalar('to', 'i32'), p.scalar('perToken', 'i32')]
    const token = p.programId(1)
    const cols = colRange(p.programId(0).mul(tileD), tileD)
    const { sum } = loop({ to: perToken }, { sum: zeros([1, tileD]) }, (slot, carried) => {
      const pair = token.mul(perToken).add(slot)
      const expert = load(experts, [pair])
      const own = load(biases, [expert.sub(first).mul(sizeOf(target, 1)).add(cols)])
      const weighed = factors ? own.mul(load(factors, [pair])) : own
      return { sum: carried.sum.add(expert.ge(first).and(expert.lt(end)).select(weighed, 0)) }
    })
    p.emit(store(target, [token, cols], sum.add(load(target, [token, cols]))))
  })
  const [tokens, width] = output.shape as readonly [number, number]
  const scalars = { from, to, perToken: (chosen.shape[0] as number) / tokens }
  const kernel: Kernel = { program, grid: [Math.ceil(width / tileD), tokens, 1], scalars }
  device.run(kernel, { bias, chosen, output, ...(weights && { weights }) })
}
