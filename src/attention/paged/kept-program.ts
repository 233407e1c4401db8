import type { Device } from '../../device/device.ts'
import type { Program } from '../../tile/index.ts'
import { callCache } from '../call-cache.ts'

/** The program that an earlier call on this device made under `key`, or a new one, which is kept. */
export function keptProgram(device: Device, key: string, make: () => Program): Program {
  const { programs } = callCache(device)
  const known = programs.get(key)
  if (known) return known
  const program = make()
  programs.set(key, program)
  return program
}
