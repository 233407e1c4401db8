import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { restorePrefix } from '../../src/cache/saved-prefix.ts'
import type { Device } from '../../src/device/index.ts'
import type { LocalEngine } from '../../src/llm/local-engine.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import { bytesSource } from '../../src/model/files/byte-source.ts'
import { openCheckpointFromSources } from '../../src/model/open-sources.ts'
import { loadPeft } from '../../src/train/lora/peft-files.ts'
import { type BaseFiles, baseCheckpoint, engineOptions, prefixTokens } from './base-files.ts'
import { moreTokenizers } from './base-texts.ts'
import type { Draw } from './draw.ts'
import { ggufFields } from './gguf-fields.ts'
import { mendedPrefix } from './mended-prefix.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateJson } from './mutate-json.ts'
import { tryModel } from './try-model.ts'

/** A kind of file: damages one and tries what comes out. Rejects with what the attempt rejects with. */
export interface FileKind {
  readonly name: string
  /** how many of a hundred mutations are of this kind */
  readonly share: number
  attempt(draw: Draw): Promise<void>
}

type Files = Readonly<Record<string, Uint8Array>>

export async function fileKinds(device: Device, base: BaseFiles): Promise<readonly FileKind[]> {
  const openFolder = async (files: Files) => {
    const sources = Object.entries(files).map(([name, bytes]) => [name, bytesSource(name, bytes)] as const)
    await tryModel(device, await openCheckpointFromSources(Object.fromEntries(sources)))
  }
  const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString()
  /** one of a folder's texts is damaged */
  const json = (name: string, share: number, folders: readonly Files[] = base.folders): FileKind => ({
    name,
    share,
    attempt(draw) {
      const files = draw.pick(folders)
      return openFolder({ ...files, [name]: mutateJson(textOf(files[name]), draw) })
    },
  })
  const [first = {}] = base.folders
  const tokenizers = moreTokenizers.map((more) => ({ ...first, 'tokenizer.json': Buffer.from(JSON.stringify(more)) }))
  const fields = new Map(base.ggufs.map((bytes) => [bytes, ggufFields(bytes)]))
  const folder = mkdtempSync(join(tmpdir(), 'fovea-fuzz-adapter-'))
  const from = baseCheckpoint()
  const engine: LocalEngine = await openEngine(baseCheckpoint(), { device, contextLength: 64, ...engineOptions })

  const adapter = async (config: Uint8Array, weights: Uint8Array) => {
    writeFileSync(join(folder, 'adapter_config.json'), config)
    writeFileSync(join(folder, 'adapter_model.safetensors'), weights)
    const decoder = await loadPeft(device, folder, { from })
    try {
      await tryModel(device, decoder.checkpoint())
    } finally {
      decoder.dispose()
    }
  }
  const prefix = async (bytes: Uint8Array) => {
    await restorePrefix(engine.cache, bytesSource('prefix', bytes), { model: base.prefix.model })
    await engine.generate({ prompt: [...prefixTokens, 3], maxTokens: 2 }).result
  }

  return [
    {
      name: 'GGUF',
      share: 22,
      attempt: async (draw) => {
        const bytes = draw.pick(base.ggufs)
        const places = fields.get(bytes) ?? []
        const header = (places.at(-1)?.at ?? 0) + 8
        const source = bytesSource('model.gguf', mutateBytes(bytes, header, draw, places))
        await tryModel(device, await openCheckpointFromSources(source))
      },
    },
    {
      name: 'safetensors',
      share: 15,
      attempt: (draw) => {
        const files = draw.pick(base.folders)
        return openFolder({ ...files, 'model.safetensors': mutateSafetensors(files['model.safetensors'], draw) })
      },
    },
    json('config.json', 15),
    json('tokenizer.json', 14, [...base.folders, ...tokenizers]),
    json('tokenizer_config.json', 5),
    json('generation_config.json', 2),
    json('model.safetensors.index.json', 7, [base.sharded]),
    {
      name: 'adapter_config.json',
      share: 4,
      attempt: (draw) => adapter(mutateJson(textOf(base.adapter.config), draw), base.adapter.weights),
    },
    {
      name: 'adapter safetensors',
      share: 5,
      attempt: (draw) => adapter(base.adapter.config, mutateSafetensors(base.adapter.weights, draw)),
    },
    { name: 'saved prefix', share: 3, attempt: (draw) => prefix(mutateBytes(base.prefix.bytes, 400, draw)) },
    {
      name: 'saved prefix, checksums mended',
      share: 8,
      attempt: (draw) => prefix(mendedPrefix(base.prefix.bytes, draw)),
    },
  ]
}

/** Damages the bytes, or the header as JSON, whose length is then as it must be. */
function mutateSafetensors(bytes: Uint8Array = new Uint8Array(8), draw: Draw): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (draw.chance(0.5)) return mutateBytes(bytes, 8 + length, draw, [{ at: 0, width: 8 }])
  const header = mutateJson(Buffer.from(bytes.subarray(8, 8 + length)).toString(), draw)
  const size = new Uint8Array(8)
  new DataView(size.buffer).setBigUint64(0, BigInt(header.byteLength), true)
  return new Uint8Array(Buffer.concat([size, header, bytes.subarray(8 + length)]))
}
