import type { TensorSpec } from './tensor-spec.ts'

/** The elements of a tensor as the host knows them: `data` is indexed by offset and strides in elements. */
export interface HostTensor {
  readonly spec: TensorSpec
  readonly data: ArrayLike<number>
}

/** Smallest and largest element of any range along the last dimension of a tensor. */
export interface RangeExtremes {
  readonly lo: number
  readonly hi: number
  /** extremes of row `row` (leading dimensions flattened), columns `from` … `to` inclusive, both within the tensor */
  row(row: number, from: number, to: number, out: { lo: number; hi: number }): void
}

/**
 * Made once per tensor: a tree of pairwise minima and maxima over the last dimension, as large as the tensor, asked in
 * O(log n). The shape must not contain a 0.
 */
export function rangeExtremes({ spec, data }: HostTensor): RangeExtremes {
  const columns = spec.shape.at(-1) ?? 1
  const rows = spec.shape.slice(0, -1).reduce((product, size) => product * size, 1)
  // leaves at columns … 2·columns−1, the parent of nodes 2i and 2i+1 is i (an iterative segment tree)
  const lows = new Float64Array(2 * columns * rows)
  const highs = new Float64Array(2 * columns * rows)
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let row = 0; row < rows; row++) {
    const base = row * 2 * columns
    let start = spec.offset
    for (let dim = spec.shape.length - 2, rest = row; dim >= 0; dim--) {
      const size = spec.shape[dim] as number
      start += (rest % size) * (spec.strides[dim] as number)
      rest = Math.floor(rest / size)
    }
    const step = spec.strides.at(-1) ?? 1
    for (let column = 0; column < columns; column++)
      lows[base + columns + column] = highs[base + columns + column] = data[start + column * step] as number
    for (let node = columns - 1; node >= 1; node--) {
      lows[base + node] = Math.min(lows[base + 2 * node] as number, lows[base + 2 * node + 1] as number)
      highs[base + node] = Math.max(highs[base + 2 * node] as number, highs[base + 2 * node + 1] as number)
    }
    lo = Math.min(lo, lows[base + 1] as number)
    hi = Math.max(hi, highs[base + 1] as number)
  }
  return {
    lo,
    hi,
    row(row, from, to, out) {
      const base = row * 2 * columns
      let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
      for (let left = from + columns, right = to + columns + 1; left < right; left >>= 1, right >>= 1) {
        if (left & 1) {
          low = Math.min(low, lows[base + left] as number)
          high = Math.max(high, highs[base + left++] as number)
        }
        if (right & 1) {
          low = Math.min(low, lows[base + --right] as number)
          high = Math.max(high, highs[base + right] as number)
        }
      }
      out.lo = low
      out.hi = high
    },
  }
}
