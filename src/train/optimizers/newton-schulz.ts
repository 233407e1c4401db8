import type { Device, Tensor } from '../../device/device.ts'
import { matmul } from '../../nn/matmul.ts'
import { alignmentOf, colRange, defineProgram, load, loop, rowRange, sizeOf, store } from '../../tile/index.ts'

/** [a, b, c] of x ↦ a x + b x³ + c x⁵ */
export type QuinticCoefficients = readonly [a: number, b: number, c: number]

/** rows that a program owns, and columns at a time */
const [tileN, tileD] = [8, 256]

/**
 * Newton–Schulz iteration of a quintic: X = a X + b (X Xᵀ) X + c (X Xᵀ)² X, `steps` times on a batch of matrices whose singular
 * values are at most 1, which it drives towards 1. The polynomial of the smaller of X Xᵀ and Xᵀ X is computed first, so that a
 * step is three matrix products. Returns where the result is: `x`, or `other` after an odd number of steps.
 */
export function newtonSchulz(
  device: Device,
  t: {
    readonly x: Tensor // [batch, M, N], f32 or f16, as all of them
    readonly other: Tensor // [batch, M, N]
    readonly gram: Tensor // [batch, K, K], K = min(M, N)
    readonly power: Tensor // [batch, K, K]
  },
  { steps, coefficients: [a, b, c] }: { readonly steps: number; readonly coefficients: QuinticCoefficients },
): Tensor {
  const { gram, power } = t
  const wide = (t.x.shape[1] as number) <= (t.x.shape[2] as number)
  let [from, to] = [t.x, t.other]
  for (let step = 0; step < steps; step++) {
    matmul(device, { a: from, b: from, [wide ? 'transposeB' : 'transposeA']: true, output: gram })
    matmul(device, { a: gram, b: gram, alpha: c, output: power })
    addToSquare(device, { gram, power, a, b })
    matmul(device, wide ? { a: power, b: from, output: to } : { a: from, b: power, output: to })
    ;[from, to] = [to, from]
  }
  return from
}

/** power += a I + b gram */
function addToSquare(
  device: Device,
  { gram, power, a, b }: { readonly gram: Tensor; readonly power: Tensor; readonly a: number; readonly b: number },
): void {
  const program = defineProgram('newton-schulz-polynomial', (p) => {
    const from = p.input('gram', gram.dtype, [null, null, null], { alignment: alignmentOf(gram) })
    const to = p.update('power', power.dtype, [null, null, null], { alignment: alignmentOf(power) })
    const [identity, linear] = [p.scalar('a', 'f32'), p.scalar('b', 'f32')]
    const rows = rowRange(p.programId(0).mul(tileN), tileN)
    loop(
      { to: sizeOf(from, 2), step: tileD },
      {},
      (start, _, emit) => {
        const cols = colRange(start, tileD)
        const at = [p.programId(1), rows, cols] as const
        const diagonal = rows.eq(cols).select(identity, 0)
        emit(store(to, at, load(to, at).add(load(from, at).mul(linear)).add(diagonal)))
        return {}
      },
      p.emit,
    )
  })
  const [batch, k] = gram.shape as readonly [number, number, number]
  device.run({ program, grid: [Math.ceil(k / tileN), batch, 1], scalars: { a, b } }, { gram, power })
}
