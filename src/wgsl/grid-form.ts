/** Workgroups along the first axis of a folded grid. WebGPU allows 65,535 along each. */
export const foldedWidth = 32768

/** A kernel for the grid as it is, or for one whose programs are counted off in two axes: see `foldGrid`. */
export type GridForm = 'plain' | 'folded'

/** Which form a grid needs where a device takes `most` workgroups along an axis. */
export function gridForm(grid: readonly number[], most: number): GridForm {
  return grid.some((count) => count > most) ? 'folded' : 'plain'
}

/** The workgroups that a folded kernel is dispatched with, for a grid of up to 2³¹ programs; some of the last row are idle. */
export function foldGrid([x, y, z]: readonly [number, number, number]): readonly [number, number, number] {
  const programs = x * y * z
  return [Math.min(programs, foldedWidth), Math.ceil(programs / foldedWidth), 1]
}
