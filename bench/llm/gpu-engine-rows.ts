import type { Device } from '../../src/device/index.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { type GpuRow, round } from '../gpu/gpu-row.ts'
import { decodeBytes, type GpuModelCase } from './gpu-model.ts'
import { promptOf } from './gpu-step-rows.ts'
import { syntheticCheckpoint } from './synthetic-checkpoint.ts'
import { timeTokens } from './token-times.ts'

const rounds = 3

/** The same through the engine, as its users get it: every token is handed over before the next is asked for. */
export async function engineRows(device: Device, of: GpuModelCase, chunk: number, copied: number): Promise<GpuRow[]> {
  const count = 4 * of.decodeSteps + 1
  // of the device's peak others have their part
  const before = device.memory.allocated
  const engine = await openEngine(syntheticCheckpoint(of.shape), {
    device,
    chunkSize: chunk,
    maxSequences: 8,
    contextLength: of.tokens + 2 * count,
  })
  try {
    const prompt = promptOf(of)
    const first: number[] = []
    const each: number[] = []
    for (let i = -1; i < rounds; i++) {
      engine.cache.clear()
      const times = await timeTokens(engine, { prompt, maxTokens: count })
      // the first round compiles
      if (i < 0) continue
      first.push(times.firstMs)
      each.push(times.msPerToken)
    }
    const middle = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1] as number
    const bytes = decodeBytes(of, of.tokens + count / 2, engine.memory.cacheFormat)
    const [prefillMs, decodeMs] = [middle(first), middle(each)]
    const { memory } = engine.stats()
    const taken = memory.allocated - before
    return [
      {
        case: `${of.title}: engine, prefill of ${of.tokens} tokens, ${chunk} at a time`,
        ...{
          system: 'fovea',
          unit: 'tokens/s',
          rate: round((of.tokens / prefillMs) * 1000),
          medianMs: round(prefillMs),
        },
      },
      {
        case: `${of.title}: engine, decode at ${of.tokens} tokens of context`,
        ...{ system: 'fovea', unit: 'tokens/s', rate: round(1000 / decodeMs), medianMs: round(decodeMs), bytes },
        share: { value: round(bytes / decodeMs / 1e6 / copied), of: 'the copy bandwidth' },
        bar: { least: 0.5 },
      },
      {
        case: `${of.title}: engine, memory of the device`,
        ...{ system: 'fovea', unit: 'MB', rate: round(taken / 1e6) },
        share: { value: round(taken / memory.planned), of: 'the plan' },
        bar: { least: 0.95, most: 1.05 },
      },
    ]
  } finally {
    await engine.close()
  }
}
