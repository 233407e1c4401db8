import type { Tensor } from '../../device/device.ts'
import { accumulate } from '../../nn/accumulate.ts'
import { matmul } from '../../nn/matmul.ts'
import type { TapeCore } from '../tape/tape-core.ts'
import type { TapeWeight } from '../tape/tape-weight.ts'
import type { Variable } from '../tape/variable.ts'

/** Adapters of linear layers that read the same input and lie joined. */
export interface AdapterBlock {
  /** the matrices A, one below the other: [rank · adapters, K] */
  readonly a: TapeWeight
  readonly rank: number
  readonly scale: number
  readonly adapters: readonly {
    readonly b: TapeWeight // [M, rank]
    /** first column of its layer's output among those of the block */
    readonly column: number
  }[]
}

/**
 * y + scale · x · Aᵀ · Bᵀ at the columns of each adapter, in the memory of y (the result of the frozen layers):
 *
 *   u = x · Aᵀ,  y += scale · u · Bᵀ
 *   dB += scale · dYᵀ · u,  du = scale · dY · B,  dA += duᵀ · x,  dX += du · A
 */
export function addAdapters(tape: TapeCore, x: Variable, y: Variable, block: AdapterBlock): Variable {
  const { device, workspace } = tape
  const { a, adapters, rank, scale } = block
  const [rows = 0] = x.shape
  const input = x.value
  const columns = ({ b, column }: (typeof adapters)[number], of: Tensor) =>
    workspace.columns(of, column, column + (b.weight.shape[0] as number))
  const ranks = (i: number, of: Tensor) => workspace.columns(of, i * rank, (i + 1) * rank)

  const u = workspace.take([rows, rank * adapters.length], x.dtype)
  matmul(device, { a: input, b: a.compute, transposeB: true, output: u })
  const sum = tape.adopt(tape.takeOver('tape.addAdapters', y), true)
  for (const [i, adapter] of adapters.entries()) {
    const output = columns(adapter, sum.value)
    const product = { a: ranks(i, u), b: adapter.b.compute, transposeB: true, alpha: scale }
    if (output.dtype === 'f32') matmul(device, { ...product, output, accumulate: true })
    else {
      const part = workspace.take(output.shape, output.dtype)
      matmul(device, { ...product, output: part })
      accumulate(device, { x: part, output })
      workspace.give(part)
    }
  }
  return tape.note({
    output: sum,
    keeps: [x],
    scratch: [u],
    backward() {
      const gradient = tape.takeGradient(sum)
      if (!gradient) return
      const du = workspace.take(u.shape, u.dtype)
      for (const [i, adapter] of adapters.entries()) {
        const dY = columns(adapter, gradient.tensor)
        const { b } = adapter
        if (b.gradient)
          matmul(device, {
            a: dY,
            transposeA: true,
            b: ranks(i, u),
            alpha: scale,
            output: b.gradient,
            accumulate: true,
          })
        matmul(device, { a: dY, b: b.compute, alpha: scale, output: ranks(i, du) })
      }
      if (a.gradient) matmul(device, { a: du, transposeA: true, b: input, output: a.gradient, accumulate: true })
      tape.addGradient(
        x,
        (output, add) => void matmul(device, { a: du, b: a.compute, output, ...(add && { accumulate: true }) }),
        { adds: x.dtype === 'f32' },
      )
      workspace.give(du)
      tape.giveGradient(y, gradient)
    },
  })
}
