import { expect } from 'vitest'
import type { CachedSequence } from '../../src/cache/cached-sequence.ts'
import type { ModelParts } from '../../src/llm/open-parts.ts'
import { DecoderRunner } from '../../src/model/decoder-runner.ts'
import type { ParityCase } from './parity-folder.ts'
import { runTokens } from './run-tokens.ts'

/** of the spread of a model's logits */
const tolerance = 2e-4

/** Are these the logits of the recorded tokens from `from` on? */
export type CloseTo = (got: Float32Array, from: number, what: string) => void

export function closeTo(name: string, { tokens, logits, spread }: ParityCase): CloseTo {
  const vocabSize = logits.length / tokens.length
  return (got, from, what) => {
    let worst = 0
    for (const [i, x] of got.entries()) {
      const error = Math.abs(x - (logits[from * vocabSize + i] as number)) / spread
      // NaN is no small error
      if (!(error <= worst)) worst = error
    }
    expect(worst, `${name}, ${what}`).toBeLessThanOrEqual(tolerance)
  }
}

/** The same parts with a runner that gives the logits of every token. */
export async function openScored(parts: ModelParts): Promise<ModelParts> {
  const { cache, runner, device } = parts
  const { pools, pageTable, maxTokens } = cache
  const policy = parts.plan.cache.policy ? { sinks: 0, ...parts.plan.cache.policy } : null
  const limits = { tokens: 128, rows: 128, sequences: 4, decodeQueries: 1 }
  const scored = new DecoderRunner(device, runner.weights, { pools, pageTable, policy, maxTokens }, limits)
  return {
    ...parts,
    runner: scored,
    release: async () => {
      scored.dispose()
      await parts.release()
    },
  }
}

/** Three sequences at different places of the text in the same steps. */
export async function batched(parts: ModelParts, tokens: readonly number[], closeTo: CloseTo): Promise<void> {
  const sequences: CachedSequence[] = [30, 47, 64].map(() => parts.cache.open([]))
  const starts = await runTokens(
    parts,
    sequences.map((sequence, i) => ({ sequence, tokens: tokens.slice(0, [30, 47, 1][i]) })),
  )
  starts.forEach((got, i) => {
    closeTo(got, 0, `in a batch, sequence ${i}`)
  })
  for (const counts of [
    [1, 1, 20],
    [7, 1, 1],
  ]) {
    const from = sequences.map(({ length }) => length)
    const got = await runTokens(
      parts,
      sequences.map((sequence, i) => ({
        sequence,
        tokens: tokens.slice(from[i], (from[i] as number) + (counts[i] as number)),
      })),
    )
    got.forEach((logits, i) => {
      closeTo(logits, from[i] as number, `in a mixed batch, sequence ${i}`)
    })
  }
  for (const sequence of sequences) sequence.close({ keep: false })
}
