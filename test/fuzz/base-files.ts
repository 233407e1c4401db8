import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { savePrefix } from '../../src/cache/saved-prefix.ts'
import type { Device } from '../../src/device/index.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { configFields } from '../../src/model/architectures/config-fields.ts'
import { findArchitecture } from '../../src/model/architectures/find-architecture.ts'
import { weightShapes } from '../../src/model/architectures/weight-shapes.ts'
import { exportGguf } from '../../src/model/export/export-gguf.ts'
import { exportSafetensors } from '../../src/model/export/export-safetensors.ts'
import { jsonTokenizer } from '../../src/model/tokenizers/json-tokenizer.ts'
import { liveCheckpoint } from '../../src/train/decoder/live-checkpoint.ts'
import { createLoraDecoder } from '../../src/train/lora/lora-decoder.ts'
import { savePeft } from '../../src/train/lora/peft-files.ts'
import { randomNumbers } from '../numerics/random.ts'
import { baseConfigs, baseTokenizers, templateText } from './base-texts.ts'

/** Sound files, as fovea writes them itself, of the smallest models: what is then damaged. */
export interface BaseFiles {
  /** Hugging Face folders, by file name */
  readonly folders: readonly Readonly<Record<string, Uint8Array>>[]
  /** the first of the folders as two shards with an index */
  readonly sharded: Readonly<Record<string, Uint8Array>>
  readonly ggufs: readonly Uint8Array[]
  readonly adapter: { readonly config: Uint8Array; readonly weights: Uint8Array }
  readonly prefix: { readonly bytes: Uint8Array; readonly model: string }
}

export const prefixTokens: readonly number[] = Array.from({ length: 40 }, (_, i) => (i * 7) % 40)
export const engineOptions = { maxSequences: 1, chunkSize: 16, pageSize: 16 } as const

export async function makeBaseFiles(device: Device): Promise<BaseFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'fovea-fuzz-base-'))
  try {
    const folders: Record<string, Uint8Array>[] = []
    const ggufs: Uint8Array[] = []
    for (const [i, config] of baseConfigs.entries()) {
      const checkpoint = randomCheckpoint(config, i)
      const where = join(folder, String(i))
      await exportSafetensors(checkpoint, where)
      const names = ['generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
      const files: Record<string, Uint8Array> = { 'config.json': utf8(JSON.stringify(config)) }
      for (const name of names) files[name] = new Uint8Array(await readFile(join(where, name)))
      const settings = JSON.parse(Buffer.from(files['tokenizer_config.json'] ?? []).toString())
      files['tokenizer_config.json'] = utf8(JSON.stringify({ ...settings, chat_template: templateText }))
      folders.push(files)
      for (const dtype of ['f32', 'q8_0'] as const) {
        const path = join(folder, `${i}-${dtype}.gguf`)
        // what GGUF cannot say of a model is no file of it
        const written = await exportGguf(checkpoint, path, { dtype }).then(
          () => true,
          () => false,
        )
        if (written) ggufs.push(new Uint8Array(await readFile(path)))
      }
    }
    const [first = {}] = folders
    return {
      folders,
      sharded: asShards(first),
      ggufs,
      adapter: await makeAdapter(device, join(folder, 'adapter')),
      prefix: await makePrefix(device),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

export function baseCheckpoint() {
  return randomCheckpoint(baseConfigs[0] as Record<string, unknown>, 0)
}

function randomCheckpoint(config: Readonly<Record<string, unknown>>, seed: number) {
  const architecture = findArchitecture('config.json', 'model_type', String(config.model_type))
  const spec = architecture.spec(configFields('config.json', config), {})
  const shapes = weightShapes(spec)
  const read = async (name: string) => {
    const random = randomNumbers(seed + [...name].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0), 7))
    const size = shapes.get(name)?.reduce((product, n) => product * n, 1) ?? 0
    return Float32Array.from({ length: size }, () => random() / 4 + (name.includes('orm') ? 1 : 0))
  }
  const definition = baseTokenizers[seed % baseTokenizers.length] ?? {}
  const settings = { bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }
  return liveCheckpoint({ spec, read, tokenizer: jsonTokenizer(definition, { file: 'tokenizer.json', ...settings }) })
}

async function makeAdapter(device: Device, folder: string) {
  const decoder = await createLoraDecoder(device, { from: baseCheckpoint(), lora: { rank: 2 }, seed: 1 })
  await savePeft(decoder, folder)
  decoder.dispose()
  const [config, weights] = await Promise.all(
    ['adapter_config.json', 'adapter_model.safetensors'].map((name) => readFile(join(folder, name))),
  )
  return { config: new Uint8Array(config ?? []), weights: new Uint8Array(weights ?? []) }
}

async function makePrefix(device: Device) {
  const engine = await openEngine(baseCheckpoint(), { device, contextLength: 64, ...engineOptions })
  await engine.generate({ prompt: [...prefixTokens], maxTokens: 1 }).result
  const parts: Uint8Array[] = []
  const sink = { write: async (bytes: Uint8Array) => void parts.push(bytes.slice()) }
  await savePrefix(engine.cache, prefixTokens, sink, { model: engine.checkpoint.fingerprint })
  const model = engine.checkpoint.fingerprint
  await engine.close()
  return { bytes: new Uint8Array(Buffer.concat(parts)), model }
}

/** The tensors of a folder's file in two files, beside the index that says which is where. */
function asShards(files: Readonly<Record<string, Uint8Array>>): Record<string, Uint8Array> {
  const { 'model.safetensors': whole = new Uint8Array(), ...rest } = files
  const length = Number(new DataView(whole.buffer, whole.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(Buffer.from(whole.subarray(8, 8 + length)).toString())
  const names = Object.keys(header).filter((name) => name !== '__metadata__')
  const weightMap: Record<string, string> = {}
  const shards: Record<string, Uint8Array> = {}
  for (const part of [0, 1]) {
    const fileName = `model-0000${part + 1}-of-00002.safetensors`
    const data: Uint8Array[] = []
    let end = 0
    const own: Record<string, unknown> = {}
    for (const name of names.filter((_, i) => i % 2 === part)) {
      const [from, to] = header[name].data_offsets
      data.push(whole.subarray(8 + length + from, 8 + length + to))
      own[name] = { ...header[name], data_offsets: [end, end + to - from] }
      end += to - from
      weightMap[name] = fileName
    }
    const text = utf8(JSON.stringify(own))
    const size = new Uint8Array(8)
    new DataView(size.buffer).setBigUint64(0, BigInt(text.byteLength), true)
    shards[fileName] = new Uint8Array(Buffer.concat([size, text, ...data]))
  }
  return {
    ...rest,
    ...shards,
    'model.safetensors.index.json': utf8(JSON.stringify({ metadata: { total_size: 1 }, weight_map: weightMap })),
  }
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
