import type { ProgramBuilder } from './define-program.ts'
import type { Value } from './value.ts'

/** programs along one axis of a grid, of which a device counts at most 65,535 */
const width = 32768

/** How many programs along two axes of a grid make at least `count`, for counts that one axis does not hold; see `longAxisId`. */
export function longAxis(count: number): readonly [inner: number, outer: number] {
  return [Math.min(count, width), Math.ceil(count / width)]
}

/** The number of a program among those of `longAxis`, laid along two axes of its grid. */
export function longAxisId(p: Pick<ProgramBuilder, 'programId'>, inner: 0 | 1 | 2, outer: 0 | 1 | 2): Value {
  return p.programId(outer).mul(width).add(p.programId(inner))
}
