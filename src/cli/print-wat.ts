import type { Program } from '../ir/schedule.ts'
import { compileProgram } from '../wasm/compile-program.ts'

/** The WebAssembly module of a program in the text format, for engines with relaxed SIMD. */
export function printProgramWat(program: Program): string {
  const { wat, scratchBytes } = compileProgram(program, { relaxed: true })
  return `;; ${program.name}: ${scratchBytes} bytes of scratch a worker\n${wat()}`
}
