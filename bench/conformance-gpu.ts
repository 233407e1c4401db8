import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { WebgpuTier } from '../src/device/device-info.ts'
import { openDevice } from '../src/device/index.ts'
import { goldenCase } from '../test/conformance/golden-case.ts'
import { goldenGradientCase } from '../test/conformance/golden-gradient-case.ts'
import { attentionFaults, type FloatDType } from '../test/conformance/run-attention-case.ts'
import { gradientFaults } from '../test/conformance/run-gradient-case.ts'

// The recorded cases on tiers of the GPU at hand, outputs and gradients, without a test runner:
// `node bench/conformance-gpu.ts --tiers 2,3`.
const { values: options } = parseArgs({
  options: {
    tiers: { type: 'string', default: '0,1,2,3' },
    dtypes: { type: 'string', default: 'f32,f16,bf16' },
    cases: { type: 'string' },
    backend: { type: 'string' },
    what: { type: 'string', default: 'outputs,gradients' },
    verbose: { type: 'boolean', default: false },
  },
})
const folder = join(import.meta.dirname, '..', 'test', 'golden', 'attention')
const names = readdirSync(folder)
  .map((file) => file.replace(/\.safetensors$/, ''))
  .filter((name) => options.cases?.split(',').includes(name) ?? true)
const tiers = options.tiers.split(',').map((text) => {
  if (!['0', '1', '2', '3'].includes(text)) throw new Error(`conformance-gpu: no tier '${text}'`)
  return Number(text) as WebgpuTier
})
const dtypes = options.dtypes.split(',').map((text) => {
  if (!['f32', 'f16', 'bf16'].includes(text)) throw new Error(`conformance-gpu: no dtype '${text}'`)
  return text as FloatDType
})

const totals = { passed: 0, failed: 0, tiersNotRun: 0 }
const kinds = options.what.split(',').map((text) => {
  if (text !== 'outputs' && text !== 'gradients') throw new Error(`conformance-gpu: no '${text}'`)
  return text
})
for (const tier of tiers) await runTier(tier)
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.tiersNotRun} tiers not run`)
// Dawn keeps the process alive
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0)

async function runTier(tier: WebgpuTier): Promise<void> {
  const webgpu = { tier, ...(options.backend !== undefined && { backend: options.backend }) }
  let device = await openDevice('webgpu', { webgpu }).catch((error: unknown) => {
    console.log(`T${tier} not run: ${firstLine(error)}`)
    totals.tiersNotRun += 1
    return null
  })
  for (const [kind, dtype] of device ? kinds.flatMap((kind) => dtypes.map((dtype) => [kind, dtype] as const)) : []) {
    const [start, failures] = [performance.now(), [] as string[]]
    for (const name of names) {
      // a lost device must not fail the cases that come after
      if (!device || device.disposed) device = await openDevice('webgpu', { webgpu })
      const caseStart = performance.now()
      const bytes = readFileSync(join(folder, `${name}.safetensors`))
      const faults = await (kind === 'outputs'
        ? attentionFaults(device, goldenCase(name, bytes), dtype)
        : gradientFaults(device, goldenGradientCase(name, bytes), dtype)
      ).catch((error: unknown) => {
        device?.dispose()
        return [`threw ${firstLine(error)}`]
      })
      if (faults.length > 0) failures.push(`  ${name}: ${faults.join('; ')}`)
      if (options.verbose)
        console.log(`T${tier} ${dtype} ${kind} ${name} ${(performance.now() - caseStart).toFixed(0)} ms`)
    }
    totals.passed += names.length - failures.length
    totals.failed += failures.length
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(
      `T${tier} ${dtype} ${kind}: ${names.length - failures.length} of ${names.length} cases pass (${seconds} s)`,
    )
    for (const failure of failures) console.log(failure)
  }
  if (device) console.log(`T${tier} ran on ${device.info.name}`)
  device?.dispose()
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? text
}
