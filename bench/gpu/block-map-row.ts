import { causal } from '../../src/attention/masks/index.ts'
import { maskMap } from '../../src/cli/mask-map.ts'
import { type GpuRow, round } from './gpu-row.ts'

/** Time to classify the blocks of a causal mask, the tracing of the mask included. */
export function blockMapRow(tokens: number): GpuRow[] {
  const tile = { queries: 128, keys: 64 }
  const build = () => maskMap('bench', causal, { queries: tokens, keys: tokens, tileQ: tile.queries, tileK: tile.keys })
  const times: number[] = []
  for (let i = -20; i < 21; i++) {
    const start = performance.now()
    const map = build()
    if (i >= 0) times.push(performance.now() - start)
    // a wrong map would be fast for the wrong reason
    const expected = 0.5 + 0.5 / Math.ceil(tokens / tile.queries)
    if (Math.abs(map.density - expected) > 0.01) throw new Error(`block map is wrong: density ${map.density}`)
  }
  times.sort((a, b) => a - b)
  const medianMs = round(times[times.length >> 1]!)
  return [
    {
      case: `causal block map T${tokens}, blocks ${tile.queries} × ${tile.keys}`,
      system: 'fovea',
      unit: 'ms',
      rate: medianMs,
      medianMs,
      minMs: round(times[0]!),
      maxMs: round(times.at(-1)!),
      rounds: times.length,
    },
  ]
}
