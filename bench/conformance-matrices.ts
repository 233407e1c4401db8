import { parseArgs } from 'node:util'
import type { SubgroupMatrixConfig, WgslCapabilities } from '../src/wgsl/capabilities.ts'
import { isUnsupported } from '../src/wgsl/fragment-config.ts'
import { lowerFragments } from '../src/wgsl/fragment-kernel.ts'
import { gradientTrials } from '../test/wgsl/gradient-trials.ts'
import { openGpu, runKernel, runReference } from '../test/wgsl/kernel-runner.ts'
import { matrixTrials } from '../test/wgsl/matrix-trials.ts'

// Subgroup-matrix kernels against the interpreter, on a GPU that has them: `node bench/conformance-matrices.ts`. Each program
// runs with barriers within subgroups and, on NVIDIA, without. Outputs start as NaN. `--only gradients`: trials so named.
const { values: options } = parseArgs({ options: { only: { type: 'string', default: '' } } })
const trials = [...matrixTrials(), ...gradientTrials()].filter(({ name }) => name.includes(options.only))
const gpu = await openGpu([
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,disable_workgroup_init,disable_robustness',
])
interface MatrixAdapterInfo extends GPUAdapterInfo {
  readonly subgroupMatrixConfigs?: readonly SubgroupMatrixConfig[]
}
const info: MatrixAdapterInfo = gpu.info
const base: WgslCapabilities = {
  tier: 3,
  maxWorkgroupBytes: gpu.maxWorkgroupBytes,
  maxInvocations: 256,
  maxStorageBuffers: 12,
  subgroupMinSize: info.subgroupMinSize ?? 4,
  subgroupMaxSize: info.subgroupMaxSize ?? 128,
  subgroupMatrixConfigs: [...(info.subgroupMatrixConfigs ?? [])],
}
const modes = info.vendor === 'nvidia' ? [true, false] : [false]
let [passed, failed, refused] = [0, 0, 0]
for (const { name, program, grid, tensors, scalars, tolerance } of trials) {
  const expected = runReference(program, grid, tensors, scalars)
  for (const subgroupsInStep of modes) {
    const label = `${name} (${subgroupsInStep ? 'in step' : 'barriers'})`
    const kernel = lowerFragments(program, { ...base, subgroupsInStep })
    if (isUnsupported(kernel)) {
      refused += 1
      console.log(`${label}: not taken, ${kernel.unsupported}`)
      continue
    }
    const result = await runKernel(gpu, program, kernel, grid, tensors, scalars)
    const faults: string[] = []
    for (const [tensor, values] of Object.entries(expected)) {
      const size = values.filter(Number.isFinite).reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30)
      for (const [at, value] of values.entries()) {
        const got = result[tensor]?.[at] ?? Number.NaN
        if (!(Object.is(got, value) || got === value || Math.abs(got - value) <= tolerance * size))
          faults.push(`${tensor}[${at}] is ${got}, should be ${value}`)
      }
    }
    if (faults.length === 0) {
      passed += 1
      console.log(`${label}: passes`)
    } else {
      failed += 1
      console.log(`${label}: ${faults.length} elements differ, ${faults[0]}`)
    }
  }
}
console.log(`${passed} passed, ${failed} failed, ${refused} not taken, on ${info.vendor} ${info.description}`)
// Dawn keeps the process alive
process.exit(failed > 0 || passed === 0 ? 1 : 0)
