import type { Device } from '../../src/device/index.ts'
import { openParts } from '../../src/llm/open-parts.ts'
import { runTokens } from '../../test/llm/run-tokens.ts'
import { type LlamaShape, syntheticCheckpoint } from './synthetic-checkpoint.ts'

export interface DeviceCheck {
  /** root mean square of the differences over that of the logits, of all tokens together */
  readonly relativeError: number
  /** tokens after which the most likely one is the same */
  readonly agreeing: number
  readonly tokens: number
}

/** tokens of a prompt in two chunks, then one at a time */
const chunks = [96, 57, ...new Array<number>(8).fill(1)]

/**
 * The logits of a small model on a device against those of WebAssembly, which computes in f32, after every token of a text, in
 * chunks and one at a time. Throws beyond `bound`.
 */
export async function checkDevice(device: Device, shape: LlamaShape, bound: number): Promise<DeviceCheck> {
  const tokens = Array.from(
    { length: chunks.reduce((sum, n) => sum + n, 0) },
    (_, i) => (i * 7919 + 13) % shape.vocabSize,
  )
  const actual = await allLogits(device, shape, tokens)
  const expected = await allLogits('wasm', shape, tokens)
  let [difference, size, agreeing] = [0, 0, 0]
  for (const [i, logits] of expected.entries()) {
    const given = actual[i] as Float32Array
    for (const [j, x] of logits.entries()) {
      difference += ((given[j] as number) - x) ** 2
      size += x ** 2
    }
    if (mostLikely(given) === mostLikely(logits)) agreeing++
  }
  const relativeError = Math.sqrt(difference / size)
  // a NaN must not pass
  if (!(relativeError <= bound))
    throw new Error(
      `the model is wrong on this device: relative error ${relativeError.toExponential(2)}, at most ${bound}`,
    )
  return { relativeError, agreeing, tokens: tokens.length }
}

/** The logits after each token. */
async function allLogits(
  device: Device | 'wasm',
  shape: LlamaShape,
  tokens: readonly number[],
): Promise<Float32Array[]> {
  const options = {
    device,
    contextLength: 512,
    maxSequences: 1,
    sharePrefixes: false,
    chunkSize: Math.max(...chunks),
    // what is judged by must not round keys and values itself
    ...(device === 'wasm' && { cacheFormat: 'f32' as const }),
  }
  // every row of a chunk is asked for
  const parts = await openParts(syntheticCheckpoint(shape), options, 'score')
  try {
    const sequence = parts.cache.open([])
    const rows: Float32Array[] = []
    for (const count of chunks) {
      const from = sequence.length
      const [logits] = await runTokens(parts, [{ sequence, tokens: tokens.slice(from, from + count) }])
      for (let i = 0; i < count; i++)
        rows.push((logits as Float32Array).slice(i * shape.vocabSize, (i + 1) * shape.vocabSize))
    }
    sequence.close({ keep: false })
    return rows
  } finally {
    await parts.release()
  }
}

function mostLikely(logits: Float32Array): number {
  return logits.reduce((best, x, i) => (x > (logits[best] as number) ? i : best), 0)
}
