import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'

export function printProgramWat(program: Program): string {
  throw new FoveaError('unsupported', 'fovea show', `${program.name}: the WebAssembly back end is not there yet`)
}
