import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { configFields } from '../../src/model/architectures/config-fields.ts'
import { architectures } from '../../src/model/architectures/find-architecture.ts'
import { weightPlace } from '../../src/model/architectures/locate-weights.ts'
import { decoderEmbedder } from '../../src/model/encoders/decoder-embedder.ts'
import { encoderShapes } from '../../src/model/encoders/encoder-architecture.ts'
import { findEncoder } from '../../src/model/encoders/find-encoder.ts'
import type { ByteSource } from '../../src/model/files/byte-source.ts'
import { writeSafetensors } from '../../src/model/files/write-safetensors.ts'
import { randomNumbers } from '../numerics/random.ts'
import { smallSources } from './small-model.ts'

const sizes = {
  hidden_size: 8,
  intermediate_size: 12,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  vocab_size: 24,
  max_position_embeddings: 32,
}

/** Configurations of small encoders, and of a decoder that gives embeddings. */
export const smallConfigs = {
  bert: { model_type: 'bert', architectures: ['BertModel'], hidden_act: 'gelu', type_vocab_size: 2, ...sizes },
  roberta: {
    ...{ model_type: 'xlm-roberta', architectures: ['XLMRobertaModel'], pad_token_id: 1, type_vocab_size: 1 },
    ...sizes,
  },
  modernbert: { model_type: 'modernbert', architectures: ['ModernBertModel'], local_attention: 6, ...sizes },
  qwen3: {
    ...{ model_type: 'qwen3', architectures: ['Qwen3Model'], num_key_value_heads: 1, head_dim: 4, ...sizes },
    tie_word_embeddings: true,
  },
} as const

/** [CLS] is 2, [SEP] 3: BERT's way of putting words together. */
export const wordPieceTokenizer = {
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({ id, content, special: true })),
  normalizer: { type: 'BertNormalizer', lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)],
    pair: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0), sequence('B', 1), special('[SEP]', 1)],
    special_tokens: { '[CLS]': { id: '[CLS]', ids: [2] }, '[SEP]': { id: '[SEP]', ids: [3] } },
  },
  decoder: { type: 'WordPiece' },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    vocab: Object.fromEntries(
      [
        '[PAD]',
        '[UNK]',
        '[CLS]',
        '[SEP]',
        'the',
        'cat',
        's',
        '##s',
        'sat',
        '##ting',
        'on',
        'mat',
        '.',
        'query',
        ':',
      ].map((token, id) => [token, id]),
    ),
  },
}

/** <s> is 0, </s> 2: XLM-RoBERTa's way, over pieces with scores. */
export const unigramTokenizer = {
  added_tokens: ['<s>', '<pad>', '</s>', '<unk>'].map((content, id) => ({ id, content, special: true })),
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  post_processor: { type: 'RobertaProcessing', cls: ['<s>', 0], sep: ['</s>', 2], trim_offsets: true },
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 3,
    vocab: [
      ['<s>', 0],
      ['<pad>', 0],
      ['</s>', 0],
      ['<unk>', 0],
      ['▁the', -2],
      ['▁c', -3],
      ['at', -2.5],
      ['▁cat', -6],
      ['▁', -4],
      ['s', -3],
      ['a', -5],
      ['t', -5],
    ],
  },
}

/** The files of a small encoder with random weights: `more` replaces files, or (null) takes them away. */
export async function smallEncoder(
  config: Readonly<Record<string, unknown>>,
  options: {
    readonly more?: Readonly<Record<string, unknown>>
    /** tensors beside the encoder's, by name: shapes */
    readonly head?: Readonly<Record<string, readonly number[]>>
    /** stands before the names of the encoder's weights */
    readonly prefix?: string
    /** changes a tensor's numbers */
    readonly change?: (name: string, values: Float32Array) => void
    /** what the file calls a tensor */
    readonly rename?: (name: string) => string
  } = {},
): Promise<Record<string, ByteSource>> {
  const { more = {}, head = {}, prefix = '', change, rename = (name: string) => name } = options
  const fields = configFields('config.json', config)
  const name = String(config.model_type)
  const encoder = findEncoder(name)
  const decoder = architectures.find(({ modelTypes }) => modelTypes.includes(name))
  const spec = encoder?.spec(fields, {}) ?? (decoder && decoderEmbedder('config.json', decoder.spec(fields, {})))
  const names = encoder?.weights.names ?? decoder?.weights.names
  if (!spec || !names) throw new Error(`no architecture ${name}`)
  const shapes = new Map(Object.entries(head))
  for (const [ours, shape] of encoderShapes(spec)) {
    const place = weightPlace(spec, { names, prefix, head: '' }, ours, shape)
    for (const tensor of place?.tensors ?? []) shapes.set(tensor, place?.stored ?? [])
  }
  const random = randomNumbers(11)
  const chunks: Uint8Array[] = []
  const tensors = [...shapes].map(([tensor, shape]) => {
    const size = shape.reduce((product, n) => product * n, 1)
    const base = /norm/i.test(tensor) && tensor.endsWith('.weight') ? 1 : 0
    const values = Float32Array.from({ length: size }, () => base + 0.5 * random())
    change?.(tensor, values)
    return { name: rename(tensor), dtype: 'f32' as const, shape, read: async () => new Uint8Array(values.buffer) }
  })
  await writeSafetensors({ write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()) }, tensors)
  const files = {
    'config.json': config,
    'tokenizer.json': wordPieceTokenizer,
    'model.safetensors': new Uint8Array(Buffer.concat(chunks)),
    ...more,
  }
  return smallSources(Object.fromEntries(Object.entries(files).filter(([, content]) => content !== null)))
}

/** Writes sources as the files of a folder. */
export async function writeSources(folder: string, sources: Readonly<Record<string, ByteSource>>): Promise<void> {
  for (const [name, source] of Object.entries(sources)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), await source.read(0, source.size))
  }
}

function special(id: string, type_id: number) {
  return { SpecialToken: { id, type_id } }
}

function sequence(id: string, type_id: number) {
  return { Sequence: { id, type_id } }
}
