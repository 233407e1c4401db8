import { parseArgs } from 'node:util'
import type { WebgpuTier } from '../src/device/device-info.ts'
import { openDevice } from '../src/device/index.ts'
import { errorText, type GpuRow } from './gpu/gpu-row.ts'
import { printRows } from './llm/print-rows.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'
import { fullCase, toyCase } from './train/train-case.ts'
import { lossDifference, stepRows } from './train/training-rows.ts'

// Steps of training on the GPU at hand, and what they are made of: `node bench/gpu-train.ts`, `--quick` for a toy.
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    commit: { type: 'string' },
    out: { type: 'string', default: 'gpu-train' },
    'dry-run': { type: 'boolean', default: false },
    tier: { type: 'string' },
    batch: { type: 'string' },
    length: { type: 'string' },
    'no-check': { type: 'boolean', default: false },
  },
})
const given = options.quick ? toyCase : fullCase
const of = {
  ...given,
  batch: Number(options.batch ?? given.batch),
  length: Number(options.length ?? given.length),
}
const device = await openDevice('webgpu', {
  webgpu: { ...(options.tier !== undefined && { tier: Number(options.tier) as WebgpuTier }) },
})
const header = runHeader({ adapter: device.info.name }, options.commit)
console.log(`${device.info.name}: tier ${device.info.tier}, commit ${header.commit}, ${of.title}`)

/** between the losses of f16 on this device and of f32 on WebAssembly; what differs more is not timed */
const allowed = 5e-3
let found: readonly GpuRow[]
try {
  if (!options['no-check']) await checkLosses()
  found = await stepRows(device, of)
} catch (error) {
  console.error(error)
  found = [{ case: of.title, system: 'fovea', unit: 'tokens/s', error: errorText(error) }]
}

const rows: ResultRow[] = found.map((row) => ({ ...header, version: '', ...row }))
printRows(rows)
if (!options['dry-run']) appendRows(options.out, rows)
// Dawn keeps the process alive
process.exit(rows.some((row) => row.error) ? 1 : 0)

/** Throws when training goes another way here than on the CPU. */
async function checkLosses(): Promise<void> {
  const other = await openDevice('wasm', { wasm: { threads: 1 } })
  const difference = await lossDifference(device, other, toyCase)
  other.dispose()
  console.log(`losses of ${toyCase.steps} steps differ from those in f32 by at most ${difference.toExponential(2)}`)
  if (!(difference <= allowed)) throw new Error(`losses differ by ${difference}, at most ${allowed} are allowed`)
}
