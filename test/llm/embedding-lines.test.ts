import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { openDevice } from '../../src/device/index.ts'
import { openEmbedder, openReranker } from '../../src/llm/index.ts'
import { smallConfigs, smallEncoder } from '../files/small-encoder.ts'

const doc = readFileSync(new URL('../../docs/embeddings.md', import.meta.url), 'utf8')
const blocks = [...doc.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, lines]) => lines as string)

it('docs/embeddings.md has lines that run', async () => {
  const device = await openDevice('wasm', { wasm: { threads: 1 } })
  const classifier = { ...smallConfigs.bert, architectures: ['BertForSequenceClassification'], num_labels: 1 }
  const head = {
    ...{ 'bert.pooler.dense.weight': [8, 8], 'bert.pooler.dense.bias': [8] },
    ...{ 'classifier.weight': [1, 8], 'classifier.bias': [1] },
  }
  const more = { '1_Pooling/config.json': { pooling_mode_mean_tokens: true } }
  const models: Readonly<Record<string, () => ReturnType<typeof smallEncoder>>> = {
    'a-folder': () => smallEncoder(smallConfigs.bert, { more }),
    'a-classifier': () => smallEncoder(classifier, { prefix: 'bert.', head }),
  }
  const sources = (name: string) => {
    const make = models[name]
    if (!make) throw new Error(`the document opens ${name}`)
    return make()
  }
  const entry: Readonly<Record<string, unknown>> = {
    openEmbedder: async (name: string, options = {}) => openEmbedder(await sources(name), { device, ...options }),
    openReranker: async (name: string, options = {}) => openReranker(await sources(name), { device, ...options }),
  }
  const results = ['cosines', 'scores']
  expect(blocks).toHaveLength(results.length)
  for (const [i, block] of blocks.entries()) {
    const [, imported = ''] = /^import \{ (.*) \} from 'fovea\/llm'$/m.exec(block) ?? []
    const body = `${block.replace(/^import .*$/gm, '')}\nreturn ${results[i]}`
    const names = imported.split(', ')
    const AsyncFunction = (async () => {}).constructor as FunctionConstructor
    const run = new AsyncFunction(...names, body)
    const values = Array.from((await run(...names.map((name) => entry[name]))) as ArrayLike<number>)
    expect(values).toHaveLength(2)
    for (const value of values) expect(Math.abs(value)).toBeLessThanOrEqual(1.000001)
  }
  expect(device.memory.allocated).toBeLessThan(16_384)
  device.dispose()
})
