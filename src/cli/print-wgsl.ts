import type { Program } from '../ir/schedule.ts'
import type { Tier } from '../wgsl/capabilities.ts'
import { lowerProgram } from '../wgsl/lower-program.ts'
import { typicalCapabilities } from './typical-capabilities.ts'

/** The shader of a program for an adapter that has no more than its tier promises. */
export function printWgsl(program: Program, tier: Tier): string {
  const { code, workgroupSize, workgroupBytes, notes } = lowerProgram(program, typicalCapabilities[tier])
  const head = [
    `// ${program.name}, tier ${tier}: workgroups of ${workgroupSize.join(' × ')}, ${workgroupBytes} bytes of workgroup memory`,
    ...notes.map((note) => `// ${note}`),
  ]
  return `${head.join('\n')}\n${code.trimEnd()}\n`
}
