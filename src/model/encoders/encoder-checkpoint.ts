import { checkChoice, FoveaError } from '../../tile/index.ts'
import type { Architecture } from '../architectures/architecture.ts'
import { checkExtent } from '../architectures/check-extent.ts'
import { checkUnread } from '../architectures/check-unread.ts'
import { weightsOver } from '../architectures/checkpoint-over.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { fitWeights } from '../architectures/fit-weights.ts'
import { type FileNames, fileNamesOf, locateWeights } from '../architectures/locate-weights.ts'
import type { WeightSource } from '../checkpoint.ts'
import type { TensorTable } from '../files/tensor-table.ts'
import { openTable, readFields } from '../huggingface-checkpoint.ts'
import type { ModelFiles } from '../model-files.ts'
import { type CheckpointOptions, checkpointFields } from '../open-checkpoint.ts'
import { type ModelSource, resolveModelSource } from '../source/resolve-model-source.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { tokenizerFiles } from '../tokenizers/tokenizer-files.ts'
import { decoderEmbedder } from './decoder-embedder.ts'
import { type EncoderArchitecture, encoderShapes, scoreShapes } from './encoder-architecture.ts'
import type { EncoderSpec, ScoreHeadSpec } from './encoder-spec.ts'
import { encoders, findEncoder } from './find-encoder.ts'
import { withOlderNames } from './older-names.ts'
import { encoderIdle } from './plain-encoder.ts'
import { type TextSettings, textSettings } from './text-settings.ts'

/** A model on disk that makes vectors or scores of texts, opened; its weights are read when asked for. */
export interface EncoderCheckpoint extends WeightSource {
  readonly spec: EncoderSpec
  /** of a classifier of one label, where it was asked for */
  readonly head: ScoreHeadSpec | null
  readonly tokenizer: Tokenizer
  readonly settings: TextSettings
  /** the function that a classifier's file names for its scores: true for sigmoid, false for none, null where it says nothing */
  readonly sigmoid: boolean | null
}

/**
 * Opens a model as Hugging Face lays it out: an encoder, or a decoder that gives embeddings (which may be a GGUF file). `purpose` "score" asks for a
 * classifier of one label. Throws as `openCheckpoint` does, `unsupported` for an architecture without such a head and for
 * several labels.
 */
export async function openEncoderCheckpoint(
  source: ModelSource,
  options: CheckpointOptions = {},
  purpose: 'embed' | 'score' = 'embed',
): Promise<EncoderCheckpoint> {
  checkChoice('openEncoderCheckpoint', 'the purpose', purpose, ['embed', 'score'])
  const { contextLength, ignoreFields, ...ofSource } = checkpointFields(options)
  const found = await resolveModelSource(source, ofSource)
  const close = found.kind === 'folder' ? found.close : () => found.source.close()
  try {
    const spec = { ...(contextLength !== undefined && { contextLength }), ...(ignoreFields && { ignoreFields }) }
    if (found.kind === 'gguf') {
      if (purpose === 'score')
        throw new FoveaError('unsupported', 'openReranker', `${found.name} is a GGUF file; classifiers are folders`)
      const { ggufEmbedder } = await import('./gguf-embedder.ts')
      const embedder = await ggufEmbedder(found.source, spec)
      return { ...embedder, head: null, sigmoid: null }
    }
    const checkpoint = await openFolder(found.files, spec, purpose)
    return found.close ? { ...checkpoint, close: found.close } : checkpoint
  } catch (error) {
    await close?.()
    throw error
  }
}

async function openFolder(
  files: ModelFiles,
  options: Pick<CheckpointOptions, 'contextLength' | 'ignoreFields'>,
  purpose: 'embed' | 'score',
): Promise<EncoderCheckpoint> {
  const config = await readFields(files, 'config.json')
  if (!config) throw new FoveaError('format', 'openCheckpoint', `${files.name} has no config.json`)
  const architecture = await findEmbedder(config)
  const settings = await textSettings(files, options.ignoreFields)
  const table = withOlderNames(await openTable(files))
  try {
    checkExtent(config, table)
    const { spec, names } = await readSpec(architecture, config, options, table)
    const head = purpose === 'score' ? scoreHead(architecture, config, names.prefix) : null
    const sigmoid = head ? readSigmoid(config) : null
    checkUnread(config, architecture.name, [...(architecture.idle ?? []), ...encoderIdle], options.ignoreFields)
    const located = new Map([
      ...locateWeights(table, spec, encoderShapes(spec), names),
      ...(head
        ? locateWeights(table, spec, scoreShapes(head.spec, spec.hiddenSize), {
            ...names,
            names: head.names,
            prefix: '',
          })
        : []),
    ])
    // an encoder writes no text whose spaces could be taken out
    const ignored = [...(options.ignoreFields ?? []), 'clean_up_tokenization_spaces']
    const tokenizer = await tokenizerFiles(files, spec, ignored)
    const weights = await weightsOver(files.name, table, spec, located)
    return { ...weights, spec, head: head?.spec ?? null, tokenizer, settings, sigmoid }
  } catch (error) {
    await table.close()
    throw error
  }
}

type Embedder = EncoderArchitecture | Architecture

const isEncoder = (architecture: Embedder): architecture is EncoderArchitecture => 'classifier' in architecture

/** Decoders are loaded for a file that is none of the encoders. */
async function findEmbedder(config: ConfigFields): Promise<Embedder> {
  const name = config.text('model_type')
  const encoder = findEncoder(name)
  if (encoder) return encoder
  const { architectures } = await import('../architectures/find-architecture.ts')
  const all: readonly Embedder[] = [...encoders, ...architectures]
  const found = all.find(({ modelTypes }) => modelTypes.includes(name))
  if (found) return found
  const known = [...new Set(all.flatMap(({ modelTypes }) => modelTypes))].join(', ')
  throw config.fault('model_type', `is the unknown architecture "${name}"; known are ${known}`)
}

async function readSpec(
  architecture: Embedder,
  config: ConfigFields,
  options: Pick<CheckpointOptions, 'contextLength' | 'ignoreFields'>,
  table: TensorTable,
): Promise<{ spec: EncoderSpec; names: FileNames }> {
  if (!isEncoder(architecture)) {
    const stated = architecture.spec(config, options)
    const names = fileNamesOf(table, architecture, stated.logits.tied)
    return { spec: decoderEmbedder(config.file, await fitWeights(table, stated, names)), names }
  }
  const spec = architecture.spec(config, options)
  const { prefixes, names } = architecture.weights
  const prefix = prefixes.find((candidate) => table.has(`${candidate}${names.tokenEmbedding}.weight`))
  return { spec, names: { names, prefix: prefix ?? prefixes[0] ?? '', head: '' } }
}

/** Throws `unsupported` for a model that is no classifier of one label. */
function scoreHead(architecture: Embedder, config: ConfigFields, prefix: string) {
  const refuse = (message: string) => new FoveaError('unsupported', 'openReranker', `${config.file}: ${message}`)
  const classes = config.list('architectures') ?? []
  if (!classes.some((name) => /ForSequenceClassification$/.test(String(name))))
    throw refuse(`architectures is ${JSON.stringify(classes)}; what scores is a …ForSequenceClassification`)
  const listed = config.section('id2label')
  const labels = listed ? takeAll(listed).length : config.size('num_labels', 1)
  if (labels !== 1) throw refuse(`id2label has ${labels} labels; a model that scores has one`)
  if (!isEncoder(architecture))
    return {
      spec: { pooling: 'last', dense: null, norm: null, bias: false } satisfies ScoreHeadSpec,
      names: { 'score.output': 'score' },
    }
  const head = architecture.classifier?.(config, prefix)
  if (!head) throw refuse(`a classifier of ${architecture.name} is not computed here`)
  return head
}

/** The names of a section that lists what it likes: all of them are read. */
function takeAll(section: ConfigFields): readonly string[] {
  const names = section.unread().map(({ name }) => name)
  for (const name of names) section.has(name)
  return names
}

/** `sentence_transformers.activation_fn`, or the older name of it: a class of PyTorch. Throws `unsupported` for others. */
function readSigmoid(config: ConfigFields): boolean | null {
  const section = config.section('sentence_transformers')
  if (section) takeAll(section)
  const [fields, field] = section?.has('activation_fn')
    ? [section, 'activation_fn']
    : [config, 'sbert_ce_default_activation_function']
  if (!fields.has(field)) return null
  const name = fields.text(field).split('.').at(-1)
  if (name === 'Sigmoid') return true
  if (name === 'Identity') return false
  throw new FoveaError(
    'unsupported',
    'openReranker',
    `${config.file}: ${field} is "${fields.text(field)}"; Sigmoid and Identity are computed here`,
  )
}
