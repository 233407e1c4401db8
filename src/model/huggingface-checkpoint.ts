import { FoveaError } from '../tile/index.ts'
import type { SpecOptions } from './architectures/architecture.ts'
import { checkExtent } from './architectures/check-extent.ts'
import { checkUnread } from './architectures/check-unread.ts'
import { checkpointOver } from './architectures/checkpoint-over.ts'
import { type ConfigFields, configFields } from './architectures/config-fields.ts'
import { fitWeights } from './architectures/fit-weights.ts'
import { loadArchitecture } from './architectures/load-architecture.ts'
import { fileNamesOf } from './architectures/locate-weights.ts'
import { tokenList } from './architectures/plain-decoder.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { DecoderSpec } from './decoder-spec.ts'
import { openSafetensors } from './files/safetensors.ts'
import { openShardedSafetensors } from './files/sharded-safetensors.ts'
import type { TensorTable } from './files/tensor-table.ts'
import { type ModelFiles, readObject } from './model-files.ts'
import { packedTable } from './quantised/packed-table.ts'
import { readQuantization } from './quantised/quantization-config.ts'
import { pickleAdvice } from './source/model-file-names.ts'
import { tokenizerFiles } from './tokenizers/tokenizer-files.ts'

const single = 'model.safetensors'
const index = 'model.safetensors.index.json'

/**
 * Opens a model as Hugging Face lays it out: config.json, generation_config.json (tokens that end a text), tokenizer.json,
 * tokenizer_config.json, special_tokens_map.json, chat_template.jinja, and model.safetensors or its index and shards, packed
 * as AWQ, GPTQ or floats of 8 bits where `quantization_config` says so.
 * Without tokenizer.json the tokenizer refuses to encode.
 *
 * Throws `format` naming file and field or tensor.
 */
export async function openHuggingFace(files: ModelFiles, options: SpecOptions): Promise<Checkpoint> {
  const config = await readFields(files, 'config.json')
  if (!config) throw new FoveaError('format', 'openCheckpoint', `${files.name} has no config.json`)
  const architecture = await loadArchitecture(config.file, 'model_type', config.text('model_type'))
  const packed = options.ignoreFields?.includes('quantization_config') ? null : readQuantization(config)
  const opened = await openTable(files)
  try {
    const table = packed ? packedTable(opened, packed) : opened
    checkExtent(config, table)
    const stated = architecture.spec(config, options)
    checkUnread(config, architecture.name, architecture.idle, options.ignoreFields)
    const names = fileNamesOf(table, architecture, stated.logits.tied)
    const fitted = await fitWeights(table, stated, names)
    const spec = withGenerationTokens(fitted, await readFields(files, 'generation_config.json'))
    const tokenizer = await tokenizerFiles(files, spec, options.ignoreFields)
    return await checkpointOver(files.name, table, spec, tokenizer, names)
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** The tokens that end a generation, where generation_config.json has a longer list than config.json. */
function withGenerationTokens(spec: DecoderSpec, generation: ConfigFields | null): DecoderSpec {
  const eosTokens = generation ? tokenList(generation, 'eos_token_id') : []
  return eosTokens.length > 0 ? { ...spec, eosTokens } : spec
}

/** Throws `unsupported` where the weights are a pickle. */
async function refusePickles(files: ModelFiles): Promise<void> {
  for (const name of ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'model.bin', 'consolidated.00.pth']) {
    const source = await files.open(name)
    if (!source) continue
    await source.close()
    throw new FoveaError(
      'unsupported',
      'openCheckpoint',
      `${files.name}: ${name} is a Python pickle, which is not read; ${pickleAdvice}`,
    )
  }
}

/** The tensors of a folder: model.safetensors, or its index and shards. Throws `format` where there is neither. */
export async function openTable(files: ModelFiles): Promise<TensorTable> {
  const whole = await files.open(single)
  if (whole) return openSafetensors(whole)
  const shards = await files.open(index)
  if (!shards) {
    await refusePickles(files)
    throw new FoveaError(
      'format',
      'openCheckpoint',
      `${files.name} has neither ${single} nor ${index}; no other is read`,
    )
  }
  return openShardedSafetensors(shards, async (fileName) => {
    const shard = await files.open(fileName)
    if (shard) return shard
    throw new FoveaError('format', 'openCheckpoint', `${files.name}: ${index} names ${fileName}, which is missing`)
  })
}

/** The fields of a JSON file of the folder, null when there is none. */
export async function readFields(files: ModelFiles, fileName: string): Promise<ConfigFields | null> {
  const values = await readObject(files, fileName)
  return values && configFields(`${files.name}/${fileName}`, values)
}
