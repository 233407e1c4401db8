import { type Mask, mask } from './mask.ts'

/** Every `dilation`-th key of the last `window`: q − k in 0 … window and divisible by dilation (Longformer, arXiv 2004.05150). */
export function dilated(window: number, dilation: number): Mask {
  return mask(({ q, k }) => {
    const distance = q.sub(k)
    return distance.ge(0).and(distance.le(window)).and(distance.mod(dilation).eq(0))
  })
}
