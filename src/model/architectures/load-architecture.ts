import type { Architecture } from './architecture.ts'
import { type ArchitectureField, namesIn, usualArchitectures } from './usual-architectures.ts'

/** What `findArchitecture` finds; all but the usual ones are loaded when one of them, or an unknown one, is asked for. */
export async function loadArchitecture(file: string, field: ArchitectureField, name: string): Promise<Architecture> {
  const usual = usualArchitectures.find((architecture) => namesIn(field)(architecture).includes(name))
  if (usual) return usual
  const { findArchitecture } = await import('./find-architecture.ts')
  return findArchitecture(file, field, name)
}
