import type { Tier } from '../../src/wgsl/lower-program.ts'
import { type Gpu, lowerFor, runKernel, runReference } from './kernel-runner.ts'
import type { Trial } from './trial.ts'

/** Runs a trial; null when every buffer is as the interpreter leaves it, else the first difference. */
export async function runTrial(gpu: Gpu, trial: Trial, tier: Tier): Promise<string | null> {
  const { program, grid, tensors, scalars, tuning, tolerance } = trial
  const expected = runReference(program, grid, tensors, scalars)
  const kernel = lowerFor(gpu, program, tier, tuning)
  if (kernel.workgroupBytes > gpu.maxWorkgroupBytes) return `${kernel.workgroupBytes} bytes of workgroup memory`
  const result = await runKernel(gpu, program, kernel, grid, tensors, scalars)
  for (const [name, values] of Object.entries(expected)) {
    const actual = result[name] as number[]
    const size = values.filter(Number.isFinite).reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30)
    for (const [at, value] of values.entries()) {
      const got = actual[at] as number
      const same = Object.is(got, value) || got === value || Math.abs(got - value) <= tolerance * size
      if (!same) return `tier ${tier}: ${name}[${at}] is ${got}, should be ${value}`
    }
  }
  return null
}
