import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import type { LocalEngine } from '../../src/llm/local-engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { startServer } from '../../src/llm/server/start-server.ts'
import { bytesSource } from '../../src/model/files/byte-source.ts'
import { entries, packageEntries } from './package-entries.ts'
import { withoutOptions } from './without-options.ts'

const path = new URL('../../models/books-recall-16m.gguf', import.meta.url).pathname

let device: Device
let engine: LocalEngine
beforeAll(async () => {
  device = await openDevice('interpret')
  engine = await openEngine(path, { device: 'wasm', deviceOptions: { wasm: { threads: 1 } }, contextLength: 64 })
})
afterAll(async () => {
  await engine.close()
  device.dispose()
})

/** a field that no options have, nor anything like it */
const more = { zzyzx: 1 }
const odd = more as never
const tensor = (...shape: number[]) => device.zeros(shape)

/**
 * A call of every exported function that takes options, with one field that there is not. Calls that need several options
 * (`webgpu` in those of `openDevice`) are there once for each.
 */
const calls: Readonly<Record<string, readonly (() => unknown)[]>> = {
  openDevice: [
    () => openDevice('interpret', odd),
    () => openDevice('interpret', { webgpu: odd }),
    () => openDevice('interpret', { wasm: odd }),
    () => openDevice('interpret', { interpret: odd }),
  ],
  tiling: [() => entries.device.tiling(device, 'flash', odd)],
  'device.tiling': [() => device.tiling('flash', odd)],
  'tensor.view': [() => tensor(4).view({ shape: [2], ...more })],

  attention: [
    () => entries.attention.attention(device, odd),
    () => entries.attention.attention(device, { ...qkv(), dropout: { rate: 0.5, seed: tensor(2), ...more } }),
    () => entries.attention.attention(device, { ...qkv(), tiling: { tileQ: 16, tileK: 16, padTo: 1, ...more } }),
    () =>
      entries.attention.attention(device, { ...qkv(), blockMask: { blockSize: [4, 4], blocks: [[true]], ...more } }),
    () => entries.attention.attention(device, { ...qkv(), blockMask: { blockSize: [4, 4], blocks: odd } }),
  ],
  checkNormalizer: [
    () => entries.attention.checkNormalizer(device, entries.normalizers.softmax, () => ({ p: [], lse: 0 }), odd),
  ],
  attentionBackward: [() => entries.attention.attentionBackward(device, odd)],
  blockMap: [() => entries.attention.blockMap(odd)],
  gatedLinearAttention: [() => entries.attention.gatedLinearAttention(device, odd)],
  gatedLinearAttentionKernel: [() => entries.attention.gatedLinearAttentionKernel(odd)],
  gatedLinearAttentionBackward: [() => entries.attention.gatedLinearAttentionBackward(device, odd)],
  gatedLinearAttentionBackwardScratch: [() => entries.attention.gatedLinearAttentionBackwardScratch(odd)],
  retention: [() => entries.attention.retention(device, odd)],
  pagedAttention: [() => entries.attention.pagedAttention(device, odd)],
  pagedStateShapes: [() => entries.attention.pagedStateShapes(odd)],
  pagedSplits: [() => entries.attention.pagedSplits(device, odd)],
  pagedTiling: [() => entries.attention.pagedTiling(device, 'decode', odd)],
  pagedWorkCapacity: [() => entries.attention.pagedWorkCapacity(odd)],
  planPagedWork: [() => entries.attention.planPagedWork(odd)],
  plan: [() => entries.attention.plan(device, odd)],
  mergeStates: [
    () => entries.attention.mergeStates(device, odd, odd),
    () => entries.attention.mergeStates(device, { output: tensor(1, 1, 1, 1), lse: tensor(1, 1, 1) }, odd),
  ],
  prepareTrainableAttention: [() => entries.attention.prepareTrainableAttention(device, odd)],

  instantiate: [() => entries.tile.instantiate([], new Map(), odd)],
  load: [() => entries.tile.load(odd, [], odd)],
  store: [() => entries.tile.store(odd, [], 0, odd)],
  loop: [() => entries.tile.loop(odd, {}, () => ({}))],
  'value.cumsumRows': [() => entries.tile.scalar(1).cumsumRows(odd)],
  'value.cumsumCols': [() => entries.tile.scalar(1).cumsumCols(odd)],

  ...Object.fromEntries(
    (
      [
        'activate',
        'activateBackward',
        'gatedActivation',
        'gatedActivationBackward',
        'add',
        'countTokens',
        'crossEntropy',
        'embed',
        'embedBackward',
        'gatedLinear',
        'gatherRows',
        'layerNorm',
        'layerNormBackward',
        'linear',
        'meanRows',
        'matmul',
        'matmulInParts',
        'mixture',
        'placeExperts',
        'placeLinear',
        'rmsNorm',
        'rmsNormBackward',
        'routeTokens',
        'applyRope',
        'sample',
        'sumRows',
        'tokenLogLikelihood',
      ] as const
    ).map((name) => [name, [() => entries.nn[name](device, odd)]]),
  ),
  ...Object.fromEntries(
    (
      [
        'countTokensKernel',
        'crossEntropyScratch',
        'layerNormKernel',
        'matmulKernel',
        'matmulParts',
        'matmulTiles',
        'productTiles',
        'rmsNormKernel',
        'ropeKernel',
        'settingsRow',
        'meanRowsKernel',
        'sumRowsKernel',
        'tokenLogLikelihoodKernel',
      ] as const
    ).map((name) => [name, [() => entries.nn[name](odd)]]),
  ),
  expertBytes: [() => entries.nn.expertBytes('f32', 1, [1], 1, 'wasm', odd)],
  linearBytes: [() => entries.nn.linearBytes('f32', 1, 1, 'wasm', odd)],
  mixtureBufferSpecs: [() => entries.nn.mixtureBufferSpecs('wasm', odd, 'f32')],
  ropeTables: [() => entries.nn.ropeTables(odd, 1)],
  rope: [() => entries.nn.rope(odd, odd), () => entries.nn.rope({ first: odd, second: odd }, odd)],
  sampleKernels: [() => entries.nn.sampleKernels('wasm', odd)],

  PageCache: [
    () => new entries.cache.PageCache(device, odd),
    () => new entries.cache.PageCache(device, { ...cacheSpec, policy: { window: 1, ...more } }),
    () => new entries.cache.PageCache(device, { ...cacheSpec, layers: [{ numKvHeads: 1, headDim: 8, ...more }] }),
  ],
  pageCacheBytes: [() => entries.cache.pageCacheBytes(odd)],
  'sequence.close': [() => new entries.cache.PageCache(device, cacheSpec).open([]).close(odd)],
  copyPages: [() => entries.cache.copyPages(device, odd)],
  createKvPages: [
    () => entries.cache.createKvPages(device, odd),
    () => entries.cache.createKvPages(device, { format: 'f32', pages: 1, pageSize: 1, numKvHeads: 1, headDim: 1 }, odd),
  ],
  kvPageBytes: [() => entries.cache.kvPageBytes(odd)],
  savePrefix: [() => entries.cache.savePrefix(engine.cache, [], { write: async () => {} } as never, odd)],
  restorePrefix: [() => entries.cache.restorePrefix(engine.cache, bytesSource('a', new Uint8Array(9)), odd)],
  writeLatent: [() => entries.cache.writeLatent(device, odd)],
  writePages: [() => entries.cache.writePages(device, odd)],

  resolveModelSource: [() => entries.model.resolveModelSource(path, odd)],
  listModels: [() => entries.model.listModels(odd)],
  removeModel: [() => entries.model.removeModel('a', odd)],
  exportGguf: [() => entries.model.exportGguf(engine.checkpoint, '/nowhere', odd)],
  exportSafetensors: [() => entries.model.exportSafetensors(engine.checkpoint, '/nowhere', odd)],
  urlSource: [() => entries.model.urlSource('http://127.0.0.1:1/a', odd)],
  downloadModel: [() => entries.model.downloadModel('owner/name', odd)],
  openEncoderCheckpoint: [() => entries.model.openEncoderCheckpoint(path, odd)],
  openCheckpoint: [() => entries.model.openCheckpoint(path, odd)],
  openCheckpointFromSources: [() => entries.model.openCheckpointFromSources({}, odd)],

  'tokenizer.encode': [() => engine.tokenizer.encode('a', odd)],
  'tokenizer.decode': [() => engine.tokenizer.decode([5], odd)],
  'tokenizer.applyChatTemplate': [() => engine.tokenizer.applyChatTemplate([], odd)],

  openEngine: [
    () => openEngine(path, odd),
    () => openEngine(path, { deviceOptions: odd }),
    () => openEngine(path, { device, cachePolicy: { window: 1, sinks: 0, ...more } }),
    () => openEngine(path, { device, promptLookup: { tokens: 1, ...more } }),
    () => openEngine(path, { device, draftModel: { model: path, tokens: 1, ...more } }),
  ],
  openEngineInWorker: [() => entries.llm.openEngineInWorker(path, odd)],
  openEmbedder: [() => entries.llm.openEmbedder(path, odd)],
  openReranker: [() => entries.llm.openReranker(path, odd)],
  planEmbedder: [() => entries.llm.planEmbedder(device, odd, odd)],
  planEngine: [() => entries.llm.planEngine(device, engine.checkpoint, odd)],
  'engine.generate': [
    () => engine.generate({ prompt: 'a', ...more }),
    () => engine.generate({ prompt: 'a', sampling: odd }),
  ],
  'engine.close': [() => engine.close(odd)],
  evaluateText: [() => entries.llm.evaluateText(path, 'a text', odd)],
  evaluateRetrieval: [() => entries.llm.evaluateRetrieval(engine, odd)],
  retrievalDocument: [() => entries.llm.retrievalDocument(engine.tokenizer, odd)],
  startServer: [
    () => startServer(engine, odd),
    () => startServer(engine, { limits: odd }),
    async () => {
      const server = await startServer(engine, { port: 0 })
      try {
        await server.close(odd)
      } finally {
        await server.close()
      }
    },
  ],

  ...Object.fromEntries(
    (
      [
        'movingAverage',
        'packedRows',
        'textRows',
        'tokenizeFiles',
        'liveCheckpoint',
        'adamw',
        'auon',
        'lamb',
        'lion',
        'muon',
        'sgd',
        'sophia',
        'runTraining',
        'trainRuns',
        'constant',
        'cosine',
        'oneCycle',
        'warmupStableDecay',
        'associativeRecall',
        'copying',
        'induction',
        'proseRetrieval',
        'trainTokenizer',
        'createTrainer',
        'planTraining',
      ] as const
    ).map((name) => [name, [() => (entries.train[name] as (options: never) => unknown)(odd)]]),
  ),
  mixRows: [() => entries.train.mixRows([odd, odd])],
  chooseOptimizers: [() => entries.train.chooseOptimizers({ name: 'adamw', ...more })],
  chooseSchedule: [() => entries.train.chooseSchedule({ name: 'cosine', ...more }, 10)],
  createTrainableDecoder: [
    () => entries.train.createTrainableDecoder(device, odd),
    () => entries.train.createTrainableDecoder(device, { from: odd }),
  ],
  createLoraDecoder: [
    () => entries.train.createLoraDecoder(device, odd),
    () => entries.train.createLoraDecoder(device, { from: engine.checkpoint, lora: odd }),
  ],
  planLora: [() => entries.train.planLora(engine.checkpoint.spec, odd)],
  loadPeft: [() => entries.train.loadPeft(device, '/nowhere', odd)],
  savePeft: [() => entries.train.savePeft(odd, '/nowhere', odd)],
  ParameterStore: [() => new entries.train.ParameterStore(device, odd)],
  'Evaluator.create': [() => entries.train.Evaluator.create(odd)],
  Tape: [() => new entries.train.Tape(new entries.train.Workspace(device), odd)],
  TapeCore: [() => new entries.train.TapeCore(new entries.train.Workspace(device), odd)],
  'tape.input': [() => new entries.train.Tape(new entries.train.Workspace(device)).input(tensor(1), odd)],
  readTrainConfig: [() => entries.train.readTrainConfig(odd, 'a.json')],
}

const cacheSpec = { layers: [{ numKvHeads: 1, headDim: 8 }], format: 'f32', pages: 2, rows: 1 } as const
const qkv = () => ({ query: tensor(1, 4, 1, 8), key: tensor(1, 4, 1, 8), value: tensor(1, 4, 1, 8) })

describe('a field that there is not', () => {
  it.each(Object.entries(calls).flatMap(([name, list]) => list.map((call, i) => [`${name}, ${i + 1}`, call] as const)))(
    'is refused by name: %s',
    async (_name, call) => {
      const error = await (async () => call())().then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({ name: 'FoveaError', message: expect.stringContaining('zzyzx') })
    },
  )

  it('is tried with every exported function, or the function has no options', () => {
    const named = new Set([...Object.keys(calls), ...withoutOptions])
    const exported = packageEntries.flatMap(([entry, module]) =>
      Object.entries(module).flatMap(([name, value]) => (typeof value === 'function' ? [[entry, name] as const] : [])),
    )
    const untried = exported.filter(([, name]) => !named.has(name)).map(([entry, name]) => `${entry}: ${name}`)
    // one that is new: a call in `calls`, or its name in without-options.ts
    expect(untried).toEqual([])
    const names = new Set(exported.map(([, name]) => name))
    const gone = [...named].filter((name) => !name.includes('.') && !names.has(name))
    expect(gone).toEqual([])
    expect(Object.keys(calls).filter((name) => withoutOptions.has(name))).toEqual([])
  })
})

describe('what is misspelt', () => {
  it('is told with the name that was meant', async () => {
    const { attention } = entries.attention
    await expect(attention(device, { ...qkv(), mask: () => true } as never)).rejects.toThrow(
      /^attention: request has no field mask; (did you mean|there are)/,
    )
    await expect(attention(device, { ...qkv(), scoremod: () => true } as never)).rejects.toThrow(
      /did you mean scoreMod\?/,
    )
    expect(() => engine.generate({ prompt: 'a', maxtokens: 3 } as never)).toThrow(/did you mean maxTokens\?/)
    expect(() => engine.generate({ prompt: 'a', sampling: { temperatur: 0.5 } } as never)).toThrow(
      /^engine\.generate: sampling has no field temperatur; did you mean temperature\?/,
    )
    await expect(openEngine(path, { contextlength: 64 } as never)).rejects.toThrow(/did you mean contextLength\?/)
    await expect(openDevice('wasm', { wasm: { thread: 2 } } as never)).rejects.toThrow(/did you mean threads\?/)
  })
})
