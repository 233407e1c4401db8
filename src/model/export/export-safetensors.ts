import { type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { configFields, isRecord } from '../architectures/config-fields.ts'
import { architectures } from '../architectures/find-architecture.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { makeFolder } from '../files/make-folder.ts'
import { writeAside } from '../files/write-aside.ts'
import { writeSafetensors } from '../files/write-safetensors.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { fileTensors } from './file-tensors.ts'
import { huggingFaceConfig } from './huggingface-config.ts'
import { specDifference } from './spec-difference.ts'

export interface SafetensorsExportOptions {
  /** of all tensors; as they are stored in the checkpoint when absent, f16 for those that are quantised */
  readonly dtype?: 'f32' | 'f16' | 'bf16'
  readonly onProgress?: (tensorsDone: number, tensors: number) => void
}

/**
 * Writes a checkpoint as a folder that fovea and Hugging Face transformers read: config.json, generation_config.json,
 * model.safetensors, tokenizer.json, tokenizer_config.json, chat_template.jinja. The folder is made where it is missing;
 * each file is written aside and renamed.
 *
 * Throws `unsupported` naming the field for a specification that a config.json of its architecture cannot say, `argument`
 * for a weight that the dtype cannot hold, `io` naming the file.
 */
export async function exportSafetensors(
  checkpoint: Checkpoint,
  folder: string,
  options: SafetensorsExportOptions = {},
): Promise<void> {
  checkFields('exportSafetensors', 'options', options, fields)
  if (options.dtype !== undefined) checkChoice('exportSafetensors', 'dtype', options.dtype, ['f32', 'f16', 'bf16'])
  const { spec, tokenizer } = checkpoint
  const architecture = architectures.find((known) => known.name === spec.architecture)
  if (!architecture)
    throw new FoveaError('unsupported', 'exportSafetensors', `the architecture ${spec.architecture} is unknown`)
  const stored = checkpoint.matrixInfo('layers.0.attention.query').dtype
  const dtype: WeightDType = options.dtype ?? (weightBlock[stored].elements === 1 ? stored : 'f16')
  const config = { ...huggingFaceConfig(spec), dtype: dtypeNames[dtype] }
  const read = architecture.spec(configFields('config.json', config), { contextLength: spec.maxPositions })
  const difference = specDifference(spec, read)
  if (difference !== undefined)
    throw new FoveaError(
      'unsupported',
      'exportSafetensors',
      `no config.json of ${spec.architecture} says ${difference}`,
    )

  const { prefixes, head, names } = architecture.weights
  const tensors = fileTensors(
    checkpoint,
    { names, prefix: prefixes[0] ?? '', head: head[0] ?? '' },
    { matrix: () => dtype, vector: dtype, normOffset: spec.finalNorm.offset - read.finalNorm.offset },
  )
  await makeFolder('exportSafetensors', folder)
  let done = 0
  const reported = tensors.map((tensor) => ({
    ...tensor,
    async read() {
      const bytes = await tensor.read()
      options.onProgress?.(++done, tensors.length)
      return bytes
    },
  }))
  await writeSafetensors(`${folder}/model.safetensors`, reported, { format: 'pt' })
  for (const [name, content] of Object.entries(textFiles(config, tokenizer)))
    await writeAside(`${folder}/${name}`, (sink) => sink.write(new TextEncoder().encode(content)))
}

const dtypeNames: Readonly<Partial<Record<WeightDType, string>>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }

function textFiles(config: Readonly<Record<string, unknown>>, tokenizer: Tokenizer): Record<string, string> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
  const { bosToken, eosTokens, definition, chatTemplate } = tokenizer
  const files: Record<string, string> = {
    'config.json': json(config),
    'generation_config.json': json({ bos_token_id: bosToken, eos_token_id: eosTokens }),
  }
  if (!isRecord(definition)) return files
  const ids = tokenizer.encode('a', { special: true })
  files['tokenizer.json'] = json(definition)
  files['tokenizer_config.json'] = json({
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: bosToken === null ? null : contentOf(definition, bosToken),
    eos_token: eosTokens[0] === undefined ? null : contentOf(definition, eosTokens[0]),
    add_bos_token: bosToken !== null && ids[0] === bosToken,
    add_eos_token: eosTokens.length > 0 && ids.at(-1) === eosTokens[0],
    model_max_length: config.max_position_embeddings ?? config.n_positions,
  })
  if (chatTemplate !== undefined) files['chat_template.jinja'] = chatTemplate
  return files
}

/** The text of a token in its tokenizer.json: one that was added, or one of the vocabulary. */
function contentOf(definition: Readonly<Record<string, unknown>>, id: number): string | null {
  const added = Array.isArray(definition.added_tokens) ? definition.added_tokens.filter(isRecord) : []
  const token = added.find((candidate) => candidate.id === id)
  if (typeof token?.content === 'string') return token.content
  const vocab = isRecord(definition.model) ? definition.model.vocab : undefined
  return isRecord(vocab) ? (Object.keys(vocab).find((text) => vocab[text] === id) ?? null) : null
}

const fields: FieldsOf<SafetensorsExportOptions> = { dtype: true, onProgress: true }
