import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { openEmbedder } from '../../src/llm/embed/open-embedder.ts'
import { planEmbedder } from '../../src/llm/embed/plan-embedder.ts'
import { openEncoderCheckpoint } from '../../src/model/encoders/encoder-checkpoint.ts'
import { EncoderRunner } from '../../src/model/encoders/encoder-runner.ts'
import { loadEncoderWeights } from '../../src/model/encoders/encoder-weights.ts'
import { type EncoderCase, encoderCase, encoderNames } from './encoder-case.ts'

const tolerance = 1e-5

/** Largest difference; NaN is no small one. */
function worst(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length)
  let most = 0
  for (let i = 0; i < got.length; i++) {
    const error = Math.abs((got[i] as number) - (expected[i] as number))
    if (!(error <= most)) most = error
  }
  return most
}

describe.each(['wasm', 'webgpu'] as const)('encoders of Hugging Face transformers on %s', (kind) => {
  let device: Device
  beforeAll(async () => {
    device = await openDevice(kind)
    expect(device.kind).toBe(kind)
  })
  afterAll(() => device.dispose())

  describe.each(encoderNames)('%s', (name) => {
    const withCase = (title: string, test: (recorded: EncoderCase) => Promise<void>) =>
      it(title, async (context) => {
        const recorded = encoderCase(name)
        if (!recorded) return context.skip('hardware: ../shared/golden/architectures is not beside the project')
        await test(recorded)
      })

    withCase(
      'vectors, alone, together, in mixed batches and in any order',
      async ({ folder, pooling, texts, vectors }) => {
        const embedder = await openEmbedder(folder, { device, pooling, batchTokens: 128 })
        try {
          const [long, short] = texts as [readonly number[], readonly number[]]
          const near = (got: readonly Float32Array[], of: readonly number[], what: string) => {
            const off = got.map((vector, i) => worst(vector, vectors[of[i] as number] as Float32Array))
            expect(Math.max(...off), `${name}, ${what}: ${off.join(' ')}`).toBeLessThanOrEqual(tolerance)
          }
          near(await embedder.embed([long]), [0], 'alone')
          near(await embedder.embed([short]), [1], 'the short one alone')
          near(await embedder.embed([long, short]), [0, 1], 'together')
          near(await embedder.embed([short, long]), [1, 0], 'the other way round')
          // 9 texts of 1 to 41 tokens in steps of at most 128
          const mixed = [short, long.slice(0, 1), long, short, long.slice(0, 7), long, long.slice(2, 40), short, long]
          const [all, again] = [await embedder.embed(mixed), await embedder.embed(mixed.toReversed())]
          near(
            [0, 2, 3, 5, 7, 8].map((i) => all[i] as Float32Array),
            [1, 0, 1, 0, 1, 0],
            'in mixed batches',
          )
          for (const [i, vector] of again.toReversed().entries())
            expect(worst(vector, all[i] as Float32Array), `${name}, text ${i}, reversed`).toBeLessThanOrEqual(1e-6)
          // at once, over the same buffers
          const [one, other] = await Promise.all([embedder.embed([long, short]), embedder.embed([short])])
          near([...(one as Float32Array[]), ...(other as Float32Array[])], [0, 1, 1], 'at once')
        } finally {
          await embedder.close()
        }
      },
    )

    withCase(
      'vectors in halves, as GPUs that compute in f16 make them',
      async ({ folder, pooling, texts, vectors }) => {
        const checkpoint = await openEncoderCheckpoint(folder)
        const { limits, maxTokens } = planEmbedder(device, checkpoint, { batchTokens: 80 })
        const weights = await loadEncoderWeights(device, checkpoint, checkpoint.spec, null, { maxTokens })
        const runner = new EncoderRunner(device, weights, limits, 'f16')
        try {
          const pooled = await runner.run(
            texts.map((tokens) => ({ tokens })),
            pooling,
          )
          pooled.forEach((vector, i) => {
            const length = Math.hypot(...vector)
            const got = vector.map((x) => x / length)
            expect(worst(got, vectors[i] as Float32Array), `${name}, text ${i}`).toBeLessThanOrEqual(2e-3)
          })
        } finally {
          runner.dispose()
          weights.dispose()
          await checkpoint.close()
        }
      },
    )

    withCase('last hidden states of every token', async ({ folder, texts, hidden }) => {
      const checkpoint = await openEncoderCheckpoint(folder, {}, 'embed')
      const { limits, maxTokens, compute } = planEmbedder(device, checkpoint, { batchTokens: 80 })
      const weights = await loadEncoderWeights(device, checkpoint, checkpoint.spec, null, { maxTokens })
      const runner = new EncoderRunner(device, weights, limits, compute)
      try {
        const got = await runner.run(
          texts.map((tokens) => ({ tokens })),
          'tokens',
        )
        got.forEach((states, i) => {
          expect(worst(states, hidden[i] as Float32Array), `${name}, text ${i}`).toBeLessThanOrEqual(tolerance)
        })
      } finally {
        runner.dispose()
        weights.dispose()
        await checkpoint.close()
      }
    })
  })

  it('allocates what was planned, and frees it', async () => {
    const { folder, pooling, texts } = encoderCase('bert') as EncoderCase
    const own = await openDevice(kind)
    const embedder = await openEmbedder(folder, { device: own, pooling, batchTokens: 128 })
    try {
      const { total } = embedder.memory
      const opened = own.memory.allocated
      // buffers are rounded up; what attention over short texts takes for its states is taken while it runs
      expect(opened).toBeLessThanOrEqual(1.02 * total)
      expect(opened).toBeGreaterThan(0.8 * total)
      await embedder.embed(texts.map((tokens) => tokens.slice(0, 3)))
      await embedder.embed(texts)
      // lists of work of some lengths are kept
      expect(own.memory.peak).toBeLessThanOrEqual(1.02 * total + 16_384)
    } finally {
      await embedder.close()
    }
    expect(own.memory.allocated).toBeLessThanOrEqual(16_384)
    own.dispose()
  })
})
