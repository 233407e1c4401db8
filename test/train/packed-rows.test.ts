import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import type { DecoderSpec } from '../../src/model/decoder-spec.ts'
import { attentionVariant } from '../../src/train/attention-variants.ts'
import type { BatchSource } from '../../src/train/data/batch.ts'
import { batchesOf } from '../../src/train/data/rows.ts'
import { textRows } from '../../src/train/data/text-rows.ts'
import { tokenArray } from '../../src/train/data/token-store.ts'
import { createTrainableDecoder } from '../../src/train/decoder/trainable-decoder.ts'
import { Evaluator } from '../../src/train/evaluator.ts'
import { sgd } from '../../src/train/optimizers/sgd.ts'
import { createTrainer } from '../../src/train/trainer.ts'
import { smallSpec } from './small-decoder.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('wasm', { wasm: { threads: 1 } })
})
afterAll(() => device.dispose())

const small = smallSpec(2)
const withoutRope = small.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, rope: null } }))
const learned = { scale: 1, learnedPositions: true }
const specs: Readonly<Record<string, { spec: DecoderSpec; attention?: string }>> = {
  'learned positions': { spec: { ...small, embedding: learned, layers: withoutRope } },
  'learned positions and rotations': { spec: { ...small, embedding: learned } },
  rotations: { spec: small },
  'distances of alibi': { spec: small, attention: 'alibi' },
  'learned positions in a window': { spec: { ...small, embedding: learned }, attention: 'window:4' },
}
const document = (tokens: number, seed: number) => Array.from({ length: tokens }, (_, i) => (i * 7 + seed * 13) % 61)

/** One batch, always the same. */
function rows(
  batch: number,
  length: number,
  rows: readonly (readonly number[])[][],
  documents?: number[],
): BatchSource {
  const of = (side: (tokens: readonly number[]) => readonly number[], filler: number) =>
    Int32Array.from(
      rows.flatMap((row) => {
        const all = row.flatMap((tokens) => side(tokens))
        return [...all, ...new Array<number>(length - all.length).fill(filler)]
      }),
    )
  return {
    batch,
    length,
    state: () => 0,
    restore: () => {},
    next: () => ({
      inputs: of((tokens) => tokens.slice(0, -1), 0),
      targets: of((tokens) => tokens.slice(1), -1),
      ...(documents && { documents: Int32Array.from(documents) }),
    }),
  }
}

describe.each(Object.entries(specs))('%s', (_, { spec, attention }) => {
  const step = async (source: BatchSource) => {
    const from = { spec, seed: 7, deviation: 0.2 }
    const model = await createTrainableDecoder(device, {
      from,
      ...(attention && { attention: attentionVariant(attention) }),
    })
    const trainer = await createTrainer({
      ...{ device, model, source, optimizer: sgd({ momentum: 0 }), learningRate: 0.1 },
    })
    const { loss, gradientNorm, targets } = await trainer.step()
    const moved = (await trainer.step()).loss
    trainer.dispose()
    model.dispose()
    return { loss, gradientNorm, moved, targets }
  }
  const same = (a: Awaited<ReturnType<typeof step>>, b: typeof a) => {
    expect(a.targets).toBe(b.targets)
    for (const what of ['loss', 'gradientNorm', 'moved'] as const) expect(a[what], what).toBeCloseTo(b[what], 4)
  }
  const [first, second, third] = [document(11, 3), document(13, 4), document(6, 9)]

  it('documents of one row teach what they teach in rows of their own', async () => {
    const numbers = [10, 12, 5].flatMap((count, i) => new Array<number>(count).fill(7 - 2 * i))
    const packed = await step(rows(1, 27, [[first, second, third]], numbers))
    same(packed, await step(rows(3, 12, [[first], [second], [third]])))
  })

  it('so does a row that ends inside a document, beside one of a single document', async () => {
    const cut = second.slice(0, 6)
    const numbers = [
      ...new Array<number>(10).fill(0),
      ...new Array<number>(5).fill(1),
      ...new Array<number>(15).fill(4),
    ]
    const long = document(16, 5)
    const packed = await step(rows(2, 15, [[first, cut], [long]], numbers))
    same(packed, await step(rows(3, 15, [[first], [cut], [long]])))
  })
})

it('text rows are judged as their documents are', async () => {
  const spec = { ...small, embedding: learned, layers: withoutRope }
  const model = await createTrainableDecoder(device, { from: { spec, seed: 7, deviation: 0.2 } })
  const texts = [document(9, 1), document(8, 2)]
  const judge = async (source: BatchSource, documents: boolean) => {
    const shape = { batch: source.batch, length: source.length }
    const evaluator = await Evaluator.create({ device, model, shape, documents })
    const found = await evaluator.run(source, 1)
    evaluator.dispose()
    return found
  }
  const packed = textRows({ tokens: tokenArray(texts, 61), length: 16, seed: null })
  const together = await judge(batchesOf(packed, 1), true)
  const apart = await judge(rows(2, 9, [[texts[0] as number[]], [texts[1] as number[]]]), false)
  expect(together.count).toBe(apart.count)
  expect(together.loss).toBeCloseTo(apart.loss, 5)
  model.dispose()
})
