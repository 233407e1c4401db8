import type { DType } from './dtype.ts'

/**
 * All values that an expression can take: every number from lo to hi. A bool is 0 or 1: canBeTrue is hi = 1, canBeFalse
 * is lo = 0. Floats: an infinite end means that nothing is known, NaN included.
 */
export interface Interval {
  lo: number
  hi: number
}

/** relative error of one operation: back ends round to f32 and may contract two operations */
export const rounding = 2 ** -21
/** relative error of the functions for which WGSL promises little */
export const approximation = 2 ** -10
/** the smallest number that is not flushed to 0 */
export const tiny = 1e-37
/** beyond this a f32 result may be infinite */
export const overflow = 3e38

/** The interval of a value of which only the dtype is known. */
export function unknownInterval(dtype: DType, out: Interval): void {
  out.lo = dtype === 'bool' || dtype === 'u32' ? 0 : dtype === 'i32' ? -2147483648 : Number.NEGATIVE_INFINITY
  out.hi = dtype === 'bool' ? 1 : dtype === 'u32' ? 4294967295 : dtype === 'i32' ? 2147483647 : Number.POSITIVE_INFINITY
}

/** [lo, hi] if every integer in it fits, else all of the dtype: the operation may have wrapped around. */
export function setInteger(dtype: DType, lo: number, hi: number, out: Interval): void {
  unknownInterval(dtype, out)
  if (lo < out.lo || hi > out.hi || Number.isNaN(lo) || Number.isNaN(hi)) return
  // −0 is no integer of its own
  out.lo = lo + 0
  out.hi = hi + 0
}

/** [lo, hi] widened by an error relative to the larger end and an absolute one; unknown where f32 may overflow. */
export function setFloat(lo: number, hi: number, relative: number, absolute: number, out: Interval): void {
  const slack = Math.max(Math.abs(lo), Math.abs(hi)) * relative + absolute
  out.lo = lo - slack
  out.hi = hi + slack
  if (!(out.lo > -overflow && out.hi < overflow)) unknownInterval('f32', out)
}

/** Are both ends finite? */
export const known = (lo: number, hi: number) => lo > Number.NEGATIVE_INFINITY && hi < Number.POSITIVE_INFINITY

/** A bool that is always true, never true, or either. */
export function setBool(always: boolean, never: boolean, out: Interval): void {
  out.lo = always ? 1 : 0
  out.hi = never ? 0 : 1
}
