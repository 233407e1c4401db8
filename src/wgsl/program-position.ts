import type { ArgumentLayout } from './argument-layout.ts'
import { foldedWidth, type GridForm } from './grid-form.ts'

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
