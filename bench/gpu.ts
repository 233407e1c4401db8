import { parseArgs } from 'node:util'
import { textTable } from '../src/cli/text-table.ts'
import type { WebgpuTier } from '../src/device/device-info.ts'
import { type Device, type FoveaError, openDevice } from '../src/device/index.ts'
import { backwardRows } from './gpu/backward-rows.ts'
import { blockMapRow } from './gpu/block-map-row.ts'
import { countingAdapter } from './gpu/counting-adapter.ts'
import { decodeRows } from './gpu/decode-rows.ts'
import { denseRows } from './gpu/dense-rows.ts'
import type { GpuRow } from './gpu/gpu-row.ts'
import { fullSizes, quickSizes } from './gpu/gpu-sizes.ts'
import { lengthChangeRow } from './gpu/length-change-row.ts'
import { linearRows } from './gpu/linear-rows.ts'
import { matmulRow } from './gpu/matmul-row.ts'
import { torchRows } from './gpu/torch-peer.ts'
import { windowRow } from './gpu/window-row.ts'
import { appendRows, type ResultRow, runHeader } from './result-row.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    commit: { type: 'string' },
    out: { type: 'string', default: 'gpu' },
    'dry-run': { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})
const sizes = options.quick ? quickSizes : fullSizes
const counting = await countingAdapter()
const rows: ResultRow[] = []

const best = await openDevice('webgpu', { webgpu: { adapter: counting.adapter } })
const tier = best.info.tier ?? 0
const header = runHeader({ adapter: best.info.name }, options.commit)
console.log(`${best.info.name}: tier ${tier}, commit ${header.commit}${options.quick ? ', tiny sizes' : ''}`)
await measure('dense', () => denseRows(best, sizes.dense, 'f16', { system: 'fovea', hooks: true }))
await measure('backward', () => backwardRows(best, sizes.dense))
await measure('window', () => windowRow(best, sizes.window))
await measure('decode', () => decodeRows(best, counting.device(), sizes.decode))
await measure('matmul', () => matmulRow(best, sizes.matmul))
await measure('linear', () => linearRows(best, sizes.linear))
await measure('lengths', () => lengthChangeRow(best, counting.compiled, sizes.lengthChange))
await measure('map', () => blockMapRow(sizes.blockMapTokens))
best.dispose()
// without matrix units, which is what ordinary browsers have
for (const [forced, dtype] of [
  [2, 'f16'],
  [1, 'f32'],
] as const)
  await measure(`t${forced}`, async () => {
    const device = await openTier(forced)
    if (!device) return []
    const found = await denseRows(device, sizes.dense, dtype, { system: `fovea T${forced}`, hooks: false })
    device.dispose()
    return found
  })
await measure('torch', () => (options.quick ? [] : torchRows(sizes.dense)))
await measure('torch-backward', () => (options.quick ? [] : torchRows(sizes.dense, { backward: true })))

printTable()
if (!options['dry-run']) appendRows(options.out, rows)
const failed = rows.filter((row) => row.system.startsWith('fovea') && row.error && !row.error.startsWith('not run'))
// Dawn keeps the process alive
process.exit(failed.length > 0 ? 1 : 0)

/** Runs one part; what goes wrong in it becomes a row, and the other parts go on. */
async function measure(name: string, part: () => Promise<readonly GpuRow[]> | readonly GpuRow[]): Promise<void> {
  if (options.only && !options.only.split(',').includes(name)) return
  const start = performance.now()
  let found: readonly GpuRow[]
  try {
    found = await part()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    found = [{ case: name, system: 'fovea', unit: 'ms', error: text.split('\n')[0] ?? text }]
  }
  rows.push(...found.map((row) => ({ ...header, version: '', ...row })))
  console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
}

async function openTier(wanted: WebgpuTier): Promise<Device | null> {
  try {
    return await openDevice('webgpu', { webgpu: { adapter: counting.adapter, tier: wanted } })
  } catch (error) {
    if ((error as FoveaError).code !== 'unsupported') throw error
    console.log(`tier ${wanted} not run: ${(error as Error).message}`)
    return null
  }
}

function printTable(): void {
  const number = (value: number | undefined) => (value === undefined ? '' : String(value))
  const lines = rows.map((row) => {
    const name = [row.case, `${row.system} ${row.version}`.trim()]
    if (row.error !== undefined) return [...name, row.error]
    const share = row.share ? `${(row.share.value * 100).toFixed(1)} % of ${row.share.of}` : ''
    const range = row.minMs === undefined ? '' : ` (${row.minMs}–${row.maxMs})`
    const spread = row.medianMs === undefined ? '' : `${row.medianMs}${range}`
    return [...name, `${number(row.rate)} ${row.unit}`, spread, number(row.relativeError), share]
  })
  console.log(textTable([['case', 'system', 'rate', 'median ms (min–max)', 'error', 'share'], ...lines]))
}
