import { FoveaError } from '../tile/index.ts'
import type { Architecture, SpecOptions } from './architectures/architecture.ts'
import { checkExtent } from './architectures/check-extent.ts'
import { checkGgufKeys } from './architectures/check-gguf-keys.ts'
import { checkpointOver } from './architectures/checkpoint-over.ts'
import { shown } from './architectures/config-fields.ts'
import { fitWeights } from './architectures/fit-weights.ts'
import { ggufConfig, withoutNormOffsets } from './architectures/gguf-config.ts'
import { ggufNames } from './architectures/gguf-names.ts'
import type { RopeFactors } from './architectures/gguf-rope.ts'
import { loadArchitecture } from './architectures/load-architecture.ts'
import { readVector } from './architectures/read-weight.ts'
import type { ChatTemplate } from './chat-template.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { ByteSource } from './files/byte-source.ts'
import { type GgufTable, openGguf } from './files/gguf.ts'
import type { OpenBeside } from './files/split-gguf.ts'
import { ggufTokenizer } from './tokenizers/gguf-tokenizer.ts'

/**
 * Opens a GGUF file: specification from its metadata, weights under llama.cpp's names, tokenizer and chat template from
 * `tokenizer.*`. The source is taken over, with the other parts of a split
 * model, which `openBeside` opens: closing the checkpoint closes it, and so does a failure.
 *
 * Throws `format` naming file and key or tensor.
 */
export async function openGgufCheckpoint(
  source: ByteSource,
  options: SpecOptions,
  openBeside: OpenBeside | null = null,
): Promise<Checkpoint> {
  const table = await openGguf(source, openBeside)
  try {
    return await ggufCheckpoint(table, options)
  } catch (error) {
    await table.close()
    throw error
  }
}

/** The checkpoint of a file whose header was read; closing it closes the table, a failure does not. */
export async function ggufCheckpoint(table: GgufTable, options: SpecOptions): Promise<Checkpoint> {
  const architecture = await ggufArchitecture(table)
  const { config, isRead } = ggufConfig(table, architecture, await readFactors(table))
  checkExtent(config, table)
  const stated = withoutNormOffsets(architecture.spec(config, options))
  checkGgufKeys(table, architecture.ggufName, isRead, options.ignoreFields)
  const names = ggufNames(table, architecture, stated)
  const spec = await fitWeights(table, stated, names)
  const tokenizer = ggufTokenizer(table, spec, await templateIn(table))
  return checkpointOver(table.source, table, spec, tokenizer, names)
}

/** The chat template, whose interpreter is loaded for a file that has one. */
async function templateIn(table: GgufTable): Promise<ChatTemplate | null> {
  const template = table.metadata.get('tokenizer.chat_template')
  if (typeof template !== 'string') return null
  const { chatTemplate } = await import('./chat-template.ts')
  return chatTemplate(`${table.source}: tokenizer.chat_template`, template)
}

/** What llama.cpp takes for one architecture and Hugging Face for several, told apart by a key: the first that says something. */
const variants: Readonly<Record<string, readonly (readonly [key: string, modelType: string])[]>> = {
  llama: [
    ['expert_count', 'mixtral'],
    ['attention.sliding_window', 'mistral'],
  ],
  olmo2: [['attention.sliding_window', 'olmo3']],
}

async function ggufArchitecture(table: GgufTable): Promise<Architecture & { readonly ggufName: string }> {
  const name = table.metadata.get('general.architecture')
  if (typeof name !== 'string')
    throw new FoveaError(
      'format',
      'openCheckpoint',
      `${table.source}: general.architecture must be a string, got ${shown(name)}`,
    )
  const known = Object.hasOwn(variants, name) ? (variants[name] ?? []) : []
  const [, modelType] = known.find(([key]) => Boolean(table.metadata.get(`${name}.${key}`))) ?? []
  const found = modelType
    ? await loadArchitecture(table.source, 'model_type', modelType)
    : await loadArchitecture(table.source, 'general.architecture', name)
  return { ...found, ggufName: name }
}

async function readFactors(table: GgufTable): Promise<RopeFactors> {
  const read = async (name: string) => {
    if (!table.has(name)) return undefined
    const entry = table.get(name)
    return [...(await readVector({ entries: [entry], shape: entry.shape, part: null, transposed: false }))]
  }
  const [all, short, long] = await Promise.all(
    ['rope_freqs.weight', 'rope_factors_short.weight', 'rope_factors_long.weight'].map(read),
  )
  return { ...(all && { all }), ...(short && { short }), ...(long && { long }) }
}
