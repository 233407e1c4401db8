import { expect, it } from 'vitest'
import { smallConfigs, smallEncoder } from '../../../test/files/small-encoder.ts'
import { FoveaError } from '../../tile/index.ts'
import { openEncoderCheckpoint } from './encoder-checkpoint.ts'

const odd = [
  null,
  -1,
  0,
  0.5,
  3,
  1e9,
  Number.MAX_SAFE_INTEGER,
  'x',
  '',
  true,
  [],
  [7],
  {},
  { a: 1 },
  { rope_theta: 'x' },
]

const modernbert = {
  ...smallConfigs.modernbert,
  ...{ layer_types: ['full_attention', 'sliding_attention'], norm_eps: 1e-5, global_attn_every_n_layers: 3 },
  rope_parameters: { full_attention: { rope_theta: 1e4 }, sliding_attention: { rope_theta: 1e4 } },
}
const nomic = {
  ...{ model_type: 'nomic_bert', n_embd: 8, n_inner: 12, n_head: 2, n_layer: 2, n_positions: 32, vocab_size: 24 },
  ...{ rotary_emb_base: 1000, rotary_emb_fraction: 1, activation_function: 'swiglu', layer_norm_epsilon: 1e-12 },
  ...{ prenorm: false, qkv_proj_bias: false, mlp_fc1_bias: false, mlp_fc2_bias: false, type_vocab_size: 2 },
}
const eurobert = { ...smallConfigs.qwen3, model_type: 'eurobert' }
const configs = { ...smallConfigs, modernbert, nomic, eurobert }

const files = {
  'modules.json': [
    { type: 'a.Transformer', path: '' },
    { type: 'a.Pooling', path: '1_Pooling' },
  ],
  '1_Pooling/config.json': { pooling_mode_mean_tokens: true, pooling_mode: 'mean', include_prompt: true },
  'config_sentence_transformers.json': { prompts: { query: 'q' }, default_prompt_name: 'query' },
  'sentence_bert_config.json': { max_seq_length: 16, do_lower_case: false },
}

/** Opens, or says in a typed error what is wrong. */
async function tried(what: string, sources: Awaited<ReturnType<typeof smallEncoder>>, purpose: 'embed' | 'score') {
  try {
    await (await openEncoderCheckpoint(sources, {}, purpose)).close()
    return 'opened'
  } catch (error) {
    expect(error, `${what}: ${(error as Error).stack}`).toBeInstanceOf(FoveaError)
    return (error as FoveaError).code
  }
}

it.each(Object.entries(configs))('whatever a setting of %s says, it is followed or refused', async (_, config) => {
  const sources = await smallEncoder(config)
  expect(await tried('as it is', sources, 'embed')).toBe('opened')
  const outcomes = new Set<string>()
  const classifier = { ...config, architectures: ['AForSequenceClassification'], num_labels: 1, id2label: { 0: 'a' } }
  for (const [field, purpose] of [
    ...Object.keys(config).map((name) => [name, 'embed'] as const),
    ...['num_labels', 'id2label', 'architectures', 'classifier_pooling', 'sentence_transformers'].map(
      (name) => [name, 'score'] as const,
    ),
  ])
    for (const value of odd) {
      const changed = { ...(purpose === 'score' ? classifier : config), [field]: value }
      const { 'config.json': file } = await smallEncoder(config, { more: { 'config.json': changed } })
      const what = `${field} = ${JSON.stringify(value)}`
      outcomes.add(await tried(what, { ...sources, ...(file && { 'config.json': file }) }, purpose))
    }
  expect([...outcomes]).toContain('format')
})

it('whatever the files of sentence-transformers say, it is followed or refused', async () => {
  const outcomes = new Set<string>()
  for (const [name, content] of Object.entries(files)) {
    const variants: unknown[] = [...odd, 'no JSON at all', ...odd.map((value) => [value])]
    for (const field of Object.keys(content)) for (const value of odd) variants.push({ ...content, [field]: value })
    for (const type of odd) variants.push([{ type, path: '' }], [{ type: 'Pooling', path: type }])
    for (const variant of variants) {
      const sources = await smallEncoder(smallConfigs.bert, { more: { ...files, [name]: variant } })
      outcomes.add(await tried(`${name}: ${JSON.stringify(variant)}`, sources, 'embed'))
    }
  }
  expect([...outcomes].sort()).toEqual(['format', 'opened', 'unsupported'])
})
