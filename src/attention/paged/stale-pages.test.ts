import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devices } from '../../../test/numerics/devices.ts'
import { fillPages, type PagedTrial, runPaged } from '../../../test/paged/paged-trial.ts'
import type { Device } from '../../device/index.ts'

// Pages are used again as they are. What a sequence that overflowed left in them, beyond the keys of the next one, is seen by
// nobody: a weight of 0 times Infinity would be NaN.
const tiling = { tileQ: 12, tileK: 16, padTo: 8, packHeads: true }
const base = { H: 6, G: 2, D: 16, pageSize: 16, tiling }
/** a length of every residue */
const every = (from: number, count: number, qLength: number) =>
  Array.from({ length: count }, (_, i) => ({ qLength: Math.min(qLength, from + i), kLength: from + i }))
const decode = { ...base, tiling: { ...tiling, tileQ: 3 }, sequences: every(17, 16, 1) }
const prefill = { ...base, sequences: every(1, 17, 3) }
const wide = { tileQ: 12, tileK: 32, padTo: 8, packHeads: false }

const trials: readonly (PagedTrial & { readonly name: string })[] = [
  { name: 'f32, decode', ...decode },
  { name: 'f32, prefill', ...prefill },
  { name: 'f32, split', ...decode, splits: 3 },
  { name: 'f32, pages smaller than a tile', ...prefill, pageSize: 8, tiling: wide },
  { name: 'f32, pages smaller than a tile, decode', ...decode, pageSize: 8, segments: 3 },
  { name: 'f32, pages larger than a tile', ...prefill, pageSize: 64 },
  { name: 'f32, window and sinks', ...prefill, window: 5, sinks: 2 },
  { name: 'f32, soft cap', ...decode, softCap: 2 },
  { name: 'f16, decode', ...decode, format: 'f16' },
  { name: 'f16, prefill of f16 queries', ...prefill, format: 'f16', queryDType: 'f16', tiling: wide, pageSize: 64 },
  { name: 'bf16, decode', ...decode, format: 'bf16', segments: 2 },
  { name: 'bf16, prefill', ...prefill, format: 'bf16', pageSize: 8 },
  { name: 'q8, decode', ...decode, format: 'q8' },
  { name: 'q8, prefill, pages larger than a tile', ...prefill, format: 'q8', pageSize: 64 },
  { name: 'q8, recent tokens', ...decode, format: 'q8', recentTokens: 32 },
  { name: 'q8, recent tokens, pages smaller than a tile', ...prefill, format: 'q8', recentTokens: 12, pageSize: 8 },
  { name: 'q4, decode', ...decode, format: 'q4', splits: 2 },
  { name: 'q4, recent tokens', ...prefill, format: 'q4', recentTokens: 16 },
  {
    name: 'q4, padded halves',
    ...decode,
    sequences: every(9, 16, 1),
    D: 24,
    format: 'q4',
    recentTokens: 16,
    tiling: { ...tiling, padTo: 16 },
  },
  { name: 'latent, decode', ...decode, G: 1, D: 20, Dv: 16, latent: true, tiling: { ...tiling, tileQ: 6 } },
  { name: 'latent, q4, recent tokens', ...prefill, G: 1, D: 20, Dv: 16, latent: true, format: 'q4', recentTokens: 16 },
]
const left = {
  NaN: [Number.NaN],
  Infinity: [Number.POSITIVE_INFINITY],
  'all kinds': [Number.NEGATIVE_INFINITY, Number.NaN, 3e38, 1, Number.POSITIVE_INFINITY],
}

describe.each(['interpret', 'wasm plain', 'wasm relaxed', 'webgpu T0', 'webgpu T1'])('%s', (name) => {
  let device: Device
  beforeAll(async () => {
    device = await (devices[name] as () => Promise<Device>)()
  })
  afterAll(() => device?.dispose())

  it.each(trials)('$name', async (trial) => {
    const run = async (stale: readonly number[]) => {
      const step = await fillPages(device, { ...trial, stale })
      const output = await runPaged(device, trial, step)
      step.pages.dispose()
      return output
    }
    const clean = await run([0.5])
    expect(clean.every(Number.isFinite)).toBe(true)
    for (const [what, stale] of Object.entries(left)) {
      const found = await run(stale)
      const wrong = clean.findIndex((x, i) => !Object.is(x, found[i]))
      expect(wrong, `${what} left behind: element ${wrong} is ${found[wrong]}, not ${clean[wrong]}`).toBe(-1)
    }
  })
})
