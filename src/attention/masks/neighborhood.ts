import { FoveaError, type Value } from '../../tile/index.ts'
import { type Mask, mask } from './mask.ts'

/**
 * Neighbourhood attention (Hassani et al., 2022, arXiv 2204.07143) on a line of `length` tokens: the `kernel` keys around
 * the query, the window's centre clamped so that it stays on the line. `kernel` is odd and at most `length`; else throws
 * `argument`.
 */
export function neighborhood1d(length: number, kernel: number): Mask {
  check('neighborhood1d', length, kernel)
  return mask(({ q, k }) => near(q, k, length, kernel))
}

/** Neighbourhood attention on a grid of height × width tokens in row-major order; `kernel` is one odd size, or [rows, columns]. */
export function neighborhood2d(height: number, width: number, kernel: number | readonly [number, number]): Mask {
  const [kernelY, kernelX] = typeof kernel === 'number' ? [kernel, kernel] : kernel
  check('neighborhood2d', height, kernelY)
  check('neighborhood2d', width, kernelX)
  return mask(({ q, k }) =>
    near(q.div(width), k.div(width), height, kernelY).and(near(q.mod(width), k.mod(width), width, kernelX)),
  )
}

function near(q: Value, k: Value, length: number, kernel: number): Value {
  const radius = (kernel - 1) / 2
  const centre = q.max(radius).min(length - 1 - radius)
  return k.sub(centre).abs().le(radius)
}

function check(where: string, length: number, kernel: number): void {
  if (!Number.isInteger(kernel) || kernel % 2 !== 1 || kernel < 1 || kernel > length)
    throw new FoveaError('argument', where, `kernel must be odd and at most the length ${length}, got ${kernel}`)
}
