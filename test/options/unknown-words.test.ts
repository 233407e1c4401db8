import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pagedTiling } from '../../src/attention/index.ts'
import { createKvPages, PageCache } from '../../src/cache/index.ts'
import { type Device, openDevice, tiling } from '../../src/device/index.ts'
import { openEmbedder, openEngine, openReranker, planEngine } from '../../src/llm/index.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { exportGguf, exportSafetensors, openCheckpoint, openEncoderCheckpoint } from '../../src/model/index.ts'
import { linearBytes } from '../../src/nn/index.ts'
import {
  attentionVariant,
  chooseOptimizers,
  chooseSchedule,
  createTrainableDecoder,
  muon,
  proseRetrieval,
  warmupStableDecay,
} from '../../src/train/index.ts'

const path = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname

let device: Device
let checkpoint: Checkpoint
beforeAll(async () => {
  device = await openDevice('interpret')
  checkpoint = await openCheckpoint(path)
})
afterAll(async () => {
  await checkpoint.close()
  device.dispose()
})

const layer = { format: 'f32', pages: 1, pageSize: 16, numKvHeads: 1, headDim: 8 } as const
const cache = { layers: [{ numKvHeads: 1, headDim: 8 }], format: 'f32', pages: 2, rows: 1 } as const

/** A word that is none of those there are, the field that it was given for, and one of the words that the message names. */
const calls: readonly (readonly [string, string, string, (word: never) => unknown])[] = [
  ['int8', 'cacheFormat', 'bf16', (cacheFormat) => openEngine(path, { device, cacheFormat })],
  ['q8_0', 'cacheFormat', 'q8', (cacheFormat) => openEngine(path, { device, cacheFormat })],
  ['F16', 'cacheFormat', 'f16', (cacheFormat) => planEngine(device, checkpoint, { cacheFormat })],
  ['train', 'purpose', 'score', (purpose) => planEngine(device, checkpoint, {}, purpose)],
  ['max', 'pooling', 'mean', (pooling) => openEmbedder(path, { pooling })],
  ['softmax', 'activation', 'sigmoid', (activation) => openReranker(path, { activation })],
  ['rank', 'purpose', 'score', (purpose) => openEncoderCheckpoint(path, {}, purpose)],
  ['gpu', 'device', 'webgpu', (kind) => openDevice(kind)],
  ['gpu', 'device', 'webgpu', (kind) => openEngine(path, { device: kind })],
  ['exact', 'interpret.precision', 'float64', (precision) => openDevice('interpret', { interpret: { precision } })],
  [
    'fast',
    'webgpu.powerPreference',
    'low-power',
    (powerPreference) => openDevice('wasm', { webgpu: { powerPreference } }),
  ],
  ['4', 'webgpu.tier', '3', (tier) => openDevice('wasm', { webgpu: { tier } })],
  ['float32', 'dtype', 'f32', (dtype) => device.zeros([1], dtype)],
  ['conv', 'algorithm', 'flash', (name) => tiling(device, name, { headDim: 8, valueDim: 8, dtype: 'f32' })],
  ['int8', 'format', 'q8', (format) => createKvPages(device, { ...layer, format })],
  ['i8', 'recentDType', 'f16', (recentDType) => new PageCache(device, { ...cache, recentDType })],
  ['int8', 'format', 'q4', (format) => new PageCache(device, { ...cache, format })],
  ['verify', 'phase', 'decode', (phase) => pagedTiling(device, phase, {} as never)],
  ['q7_k', 'dtype', 'q4_k', (dtype) => linearBytes(dtype, 32, 256, 'wasm')],
  ['q3_k', 'dtype', 'q4_0', (dtype) => exportGguf(checkpoint, '/nowhere/a.gguf', { dtype })],
  ['q7_0', 'tensorDType', 'q8_0', (dtype) => exportGguf(checkpoint, '/nowhere/a.gguf', { tensorDType: () => dtype })],
  ['q8_0', 'dtype', 'bf16', (dtype) => exportSafetensors(checkpoint, '/nowhere', { dtype })],
  ['fp16', 'precision', 'bf16', (precision) => createTrainableDecoder(device, { from: checkpoint, precision })],
  [
    'all',
    'checkpointing',
    'sqrt',
    (checkpointing) => createTrainableDecoder(device, { from: checkpoint, checkpointing }),
  ],
  ['bf16', 'precision', 'f16', (precision) => muon({ precision })],
  ['rms', 'adjust', 'match-rms', (adjust) => muon({ adjust })],
  ['adam', 'name', 'adamw', (name) => chooseOptimizers({ name } as never)],
  ['linear', 'name', 'cosine', (name) => chooseSchedule({ name } as never, 10)],
  ['cosine', 'shape', 'sqrt', (shape) => warmupStableDecay({ steps: 10, shape })],
  ['triple', 'form', 'dense', (form) => proseRetrieval({ tokenizer: checkpoint.tokenizer, length: 64, form })],
  ['none', 'learn', 'answers', (learn) => proseRetrieval({ tokenizer: checkpoint.tokenizer, length: 64, learn })],
  ['windows', '', 'window', (name) => attentionVariant(name)],
]

describe('a word that is none of those there are', () => {
  it.each(calls)('%s for %s is refused with them', async (word, field, known, call) => {
    const error = await (async () => call(word as never))().then(
      () => null,
      (reason: unknown) => reason,
    )
    // dtypes of tensors have a code of their own
    expect(error).toMatchObject({ name: 'FoveaError', code: expect.stringMatching(/^(argument|dtype)$/) })
    for (const part of [word, field, known]) expect((error as Error).message).toContain(part)
  })
})
