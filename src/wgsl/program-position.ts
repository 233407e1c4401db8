import type { ArgumentLayout } from './argument-layout.ts'

/** Workgroups along the first axis of a folded grid. WebGPU allows 65,535 along each. */
const foldedWidth = 32768

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

/** The statements that tell a workgroup (`workgroup`, its id) which program of the grid it runs. */
export function programPosition(form: GridForm, args: ArgumentLayout): readonly string[] {
  if (form === 'plain')
    return [
      'let program_x = i32(workgroup.x);',
      'let program_y = i32(workgroup.y);',
      'let program_z = i32(workgroup.z);',
    ]
  return [
    `let program = i32(workgroup.y * ${foldedWidth}u + workgroup.x);`,
    `let grid_x = ${args.grid(0)};`,
    `let grid_y = ${args.grid(1)};`,
    'let program_x = program % grid_x;',
    'let program_y = program / grid_x % grid_y;',
    'let program_z = program / grid_x / grid_y;',
    `if (program_z >= ${args.grid(2)}) {`,
    '  return;',
    '}',
  ]
}
