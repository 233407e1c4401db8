import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chatTemplate } from '../chat-template.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import type { GgufTable } from '../files/gguf.ts'
import type { GgufValue } from '../files/gguf-types.ts'
import { openCheckpoint } from '../open-checkpoint.ts'
import { bytesByLetter } from './byte-letters.ts'
import { ggufPreTokenizer, ggufPreTokenizerNames } from './gguf-pre-tokenizers.ts'
import { ggufTokenizer } from './gguf-tokenizer.ts'
import { jsonTokenizer, type TokenizerDefinition } from './json-tokenizer.ts'

const books = '../shared/models/books-16m'
const noBooks = 'hardware: ../shared/models is not beside the project'
const concat = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]))

describe('the shipped model', () => {
  it('encodes as transformers does, and decodes back', async (context) => {
    if (!existsSync(books)) return context.skip(noBooks)
    const { tokenizer, close } = await openCheckpoint(books)
    const golden = JSON.parse(await readFile(`${books}/golden.json`, 'utf8'))
    // its begin token was put there by hand: nothing in the folder says that encoding does
    const ids = [tokenizer.bosToken ?? -1, ...tokenizer.encode(golden.prompt)]
    // what was recorded is the beginning of the text
    expect(ids.slice(0, golden.ids.length)).toEqual(golden.ids)
    expect(golden.ids.length).toBeGreaterThan(200)
    expect(tokenizer.encode(golden.prompt, { special: false })).toEqual(ids.slice(1))
    expect(tokenizer.decode(ids)).toBe(golden.prompt)
    expect(tokenizer.decode(ids, { skipSpecial: false })).toBe(`<|begin|>${golden.prompt}`)
    expect(tokenizer.decode(golden.greedy)).toBe(golden.greedy_text)
    expect(tokenizer).toMatchObject({ vocabSize: 8192, bosToken: 0, eosTokens: [1], hasChatTemplate: true })
    await close()
  })

  it('gives any text back, byte by byte', async (context) => {
    if (!existsSync(books)) return context.skip(noBooks)
    const { tokenizer, close } = await openCheckpoint(books)
    const grapheme = fc.string({ unit: 'grapheme', maxLength: 40 })
    const texts = fc.oneof(
      grapheme,
      fc.constantFrom('\uFEFF mark', ' 12 3', '👩‍👩‍👧‍👦', '\r\n\t', 'don’t', "it's 1999!"),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text, { special: false })
        expect(concat(ids.map((id) => tokenizer.piece(id).bytes))).toEqual(new TextEncoder().encode(text))
        expect(tokenizer.decode(ids, { skipSpecial: false })).toBe(text)
      }),
      { numRuns: 200, seed: 7 },
    )
    // a character in pieces
    const wave = tokenizer.encode('🌊', { special: false })
    expect(wave.length).toBeGreaterThan(1)
    expect(tokenizer.decode(wave.slice(0, 1))).toMatch(/^\uFFFD+$/)
    expect(tokenizer.piece(wave[0] ?? 0).bytes[0]).toBe(0xf0)
    await close()
  })

  it('writes conversations by its template, whose special tokens are read as such', async (context) => {
    if (!existsSync(books)) return context.skip(noBooks)
    const { tokenizer, close } = await openCheckpoint(books)
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Who?' },
      { role: 'assistant', content: 'Ishmael.' },
      { role: 'user', content: 'Call me?' },
    ]
    const prompt = tokenizer.applyChatTemplate(messages)
    expect(prompt).toBe('<|begin|>Be brief.<|user|>Who?<|assistant|>Ishmael.<|end|><|user|>Call me?<|assistant|>')
    expect(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: false })).toBe(prompt.slice(0, -13))
    const ids = tokenizer.encode(prompt, { special: false })
    expect(ids.filter((id) => tokenizer.isSpecial(id))).toEqual([0, 2, 3, 1, 2, 3])
    expect(tokenizer.decode(ids)).toBe('Be brief.Who?Ishmael.Call me?')
    await close()
  })

  it('is the same from the metadata of a GGUF file', async (context) => {
    if (!existsSync(books)) return context.skip(noBooks)
    const { tokenizer, spec, close } = await openCheckpoint(books)
    const { model } = tokenizer.definition as { model: { vocab: Record<string, number>; merges: [string, string][] } }
    const tokens = Object.entries(model.vocab)
      .sort((a, b) => a[1] - b[1])
      .map(([token]) => token)
    const table = tableOf({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'smollm',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': tokens.map((_, id) => (id < 4 ? 3 : 1)),
      'tokenizer.ggml.merges': model.merges.map((pair) => pair.join(' ')),
      'tokenizer.ggml.bos_token_id': 0,
      'tokenizer.ggml.eos_token_id': 1,
      'tokenizer.ggml.add_bos_token': true,
    })
    const other = ggufTokenizer(table, spec)
    const text = `${await readFile('README.md', 'utf8')}<|user|> 1234567 — don’t 👩‍👧\n\n\n  end `
    expect(other.encode(text)).toEqual([0, ...tokenizer.encode(text)])
    expect(other.decode(other.encode(text), { skipSpecial: false })).toBe(`<|begin|>${text}`)
    expect(other).toMatchObject({ vocabSize: 8192, bosToken: 0, eosTokens: [1], hasChatTemplate: false })
    await close()
  })
})

/** A table of metadata alone. */
function tableOf(metadata: Record<string, GgufValue>): GgufTable {
  return { source: 'test.gguf', metadata: new Map(Object.entries(metadata)) } as unknown as GgufTable
}
const spec = { vocabSize: 1000, bosToken: 1, eosTokens: [2] } as unknown as DecoderSpec

const letters = [...'abcde']
const bytePieces = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
const merged = [
  '▁a',
  'ab',
  '▁ab',
  'bc',
  'abc',
  '▁abc',
  'cd',
  'bcd',
  'de',
  '▁d',
  'ea',
  'cde',
  '▁▁',
  'dea',
  'é',
  'aa',
  'aaa',
]
const pieces = ['<unk>', '<s>', '</s>', ...bytePieces, '▁', ...letters, ...merged]
// distinct scores in an order that is not that of the lengths
const scores = pieces.map((_, id) => (id < 259 ? 0 : -((id * 7) % 23) - id / 1000))
const sentencePiece = {
  'tokenizer.ggml.model': 'llama',
  'tokenizer.ggml.tokens': pieces,
  'tokenizer.ggml.scores': scores,
  'tokenizer.ggml.token_type': pieces.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)),
  'tokenizer.ggml.bos_token_id': 1,
  'tokenizer.ggml.eos_token_id': 2,
}

/** SentencePiece's merging as its paper's code does it: again and again the neighbours whose joined piece scores best. */
function mergeByScore(text: string): number[] {
  const symbols = Array.from(`▁${text.replaceAll(' ', '▁')}`)
  for (;;) {
    let best = -1
    let bestScore = Number.NEGATIVE_INFINITY
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = pieces.indexOf(`${symbols[i]}${symbols[i + 1]}`, 259)
      if (id >= 0 && (scores[id] ?? 0) > bestScore) {
        best = i
        bestScore = scores[id] ?? 0
      }
    }
    if (best < 0) break
    symbols.splice(best, 2, `${symbols[best]}${symbols[best + 1]}`)
  }
  return symbols.flatMap((symbol) => {
    const id = pieces.indexOf(symbol, 259)
    return id >= 0 ? [id] : [...new TextEncoder().encode(symbol)].map((byte) => byte + 3)
  })
}

describe('SentencePiece of GGUF files', () => {
  const tokenizer = ggufTokenizer(tableOf(sentencePiece), spec)

  it('merges by score, and falls back to bytes', () => {
    expect(tokenizer.encode('abc')).toEqual([1, ...mergeByScore('abc')])
    expect(tokenizer.encode('z', { special: false })).toEqual([pieces.indexOf('▁'), 3 + 0x7a])
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...letters, ' ', 'é', 'z'), minLength: 1, maxLength: 24 }),
        (text) => {
          const ids = tokenizer.encode(text, { special: false })
          expect(ids).toEqual(mergeByScore(text))
          expect(tokenizer.decode(ids)).toBe(text)
        },
      ),
      { numRuns: 500, seed: 11 },
    )
  })

  it('gives exact bytes for pieces and the text as it was', () => {
    const text = ' two  spaces, ü and 🌊'
    const ids = tokenizer.encode(text)
    expect(ids[0]).toBe(1)
    expect(tokenizer.decode(ids)).toBe(text)
    const bytes = concat(ids.slice(1).map((id) => tokenizer.piece(id).bytes))
    // with the space that encoding puts before a text
    expect(new TextDecoder().decode(bytes)).toBe(` ${text}`)
    expect(tokenizer.piece(3 + 0xf0)).toEqual({ text: '\uFFFD', bytes: Uint8Array.of(0xf0) })
  })

  it('adds no space where the file says so', () => {
    const gemma = ggufTokenizer(tableOf({ ...sentencePiece, 'tokenizer.ggml.add_space_prefix': false }), spec)
    expect(gemma.encode('abc', { special: false })).toEqual([pieces.indexOf('abc')])
    expect(gemma.decode(gemma.encode(' ab'))).toBe(' ab')
  })

  it('refuses metadata that is none, naming the key', () => {
    const refused = (changed: Record<string, GgufValue>, message: RegExp, code = 'format') => {
      const open = () => ggufTokenizer(tableOf({ ...sentencePiece, ...changed }), spec)
      expect(open).toThrow(expect.objectContaining({ code }))
      expect(open).toThrow(message)
    }
    refused({ 'tokenizer.ggml.model': 'runes' }, /test\.gguf: tokenizer\.ggml\.model is "runes"/)
    // llama.cpp reads these; no decoder that is read here has them
    refused({ 'tokenizer.ggml.model': 't5' }, /model is t5 \(unigram\)/, 'unsupported')
    refused({ 'tokenizer.ggml.tokens': 'a' }, /ggml\.tokens must be a list of strings/)
    refused({ 'tokenizer.ggml.scores': [1] }, /ggml\.scores must have 282 numbers/)
    refused({ 'tokenizer.ggml.token_type': [1] }, /ggml\.token_type must have 282 numbers/)
    refused({ 'tokenizer.ggml.model': 'gpt2' }, /ggml\.merges must be a list of strings/)
    const unknown = { 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.merges': [], 'tokenizer.ggml.pre': 'runes' }
    refused(unknown, /ggml\.pre is "runes"; known are .*llama-bpe/)
    refused({ 'tokenizer.huggingface.json': '{' }, /huggingface\.json is no JSON/)
    expect(() => ggufTokenizer(tableOf({}), spec).encode('a')).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})

describe('what a GGUF file does not say', () => {
  const bytes = [...bytesByLetter().keys()]
  const byteLevel = (extra: readonly [string, number][], metadata: Record<string, GgufValue> = {}) => {
    const tokens = [...bytes, ...extra.map(([token]) => token)]
    return ggufTokenizer(
      tableOf({
        'tokenizer.ggml.model': 'gpt2',
        'tokenizer.ggml.pre': 'gpt-2',
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.token_type': [...bytes.map(() => 1), ...extra.map(([, type]) => type)],
        'tokenizer.ggml.merges': [],
        ...metadata,
      }),
      { ...spec, bosToken: null, eosTokens: [256] } as unknown as DecoderSpec,
    )
  }

  it.each([
    '<|im_end|>',
    '<|end|>',
    '<|eot_id|>',
    '<end_of_turn>',
    '<|eom_id|>',
    '<|endoftext|>',
    '<｜end▁of▁sentence｜>',
  ])('%s ends an answer where it is a control token, whatever eos_token_id says', (name) => {
    expect(
      byteLevel([
        ['<eos-of-the-file>', 3],
        [name, 3],
      ]).eosTokens,
    ).toEqual([256, 257])
    // as text, or as a token that somebody added, it is what it says
    for (const type of [1, 4, 5])
      expect(
        byteLevel([
          ['<eos-of-the-file>', 3],
          [name, type],
        ]).eosTokens,
      ).toEqual([256])
  })

  it('ends at <|end|> no answer of a model whose messages end with it and whose answers with <|return|>', () => {
    const names = ['<|endoftext|>', '<|return|>', '<|call|>', '<|end|>']
    expect(byteLevel(names.map((name) => [name, 3])).eosTokens).toEqual([256, 257, 258])
    expect(byteLevel(['<|endoftext|>', '<|return|>', '<|end|>'].map((name) => [name, 3])).eosTokens).toEqual([
      256, 257, 258,
    ])
  })

  it.each([
    ['qwen2', true],
    ['megrez', true],
    ['olmo', true],
    ['command-r', true],
    ['llama-bpe', false],
    ['gpt-2', false],
  ])('%s composes letters: %s', (pre, composes) => {
    const tokenizer = byteLevel([], { 'tokenizer.ggml.pre': pre })
    for (const text of ['cafe\u0301', 'e\u0302\u0301', 'A\u030A', '\u1100\u1161'])
      expect(tokenizer.decode(tokenizer.encode(text, { special: false })), text).toBe(
        composes ? text.normalize('NFC') : text,
      )
  })

  it('begins a text as llama.cpp begins it: by the name of the cut, and by the tokenizer', () => {
    const begin = { 'tokenizer.ggml.bos_token_id': 256 }
    const a = bytes.indexOf('a')
    for (const [pre, begins] of [
      ['gpt-2', false],
      ['qwen2', false],
      ['llama-bpe', true],
      ['tekken', true],
    ] as const)
      expect(byteLevel([['<s>', 3]], { ...begin, 'tokenizer.ggml.pre': pre }).encode('a'), pre).toEqual(
        begins ? [256, a] : [a],
      )
    // what a text spells out is kept where none is added
    const none = { ...begin, 'tokenizer.ggml.add_bos_token': false }
    expect(byteLevel([['<s>', 3]], none).encode('<s>a')).toEqual([256, a])
    expect(byteLevel([['<s>', 3]], begin).encode('<s>a')).toEqual([256, a])
    // "llama" without ids has llama.cpp's: 1 begins a text
    const { 'tokenizer.ggml.bos_token_id': _, ...silent } = sentencePiece
    expect(ggufTokenizer(tableOf(silent), spec)).toMatchObject({ bosToken: 1 })
    expect(ggufTokenizer(tableOf(silent), spec).encode('abc')[0]).toBe(1)
  })

  it('takes the first of tokens with one text, and shows each of them', () => {
    const tokenizer = byteLevel(
      [
        ['Ġtwice', 1],
        ['Ġtwice', 1],
        ['<x>', 3],
        ['<x>', 3],
        ['', 1],
        ['', 1],
      ],
      {
        'tokenizer.ggml.merges': ['Ġ t', 'w i', 'no such'],
      },
    )
    expect(tokenizer.vocabSize).toBe(262)
    expect(tokenizer.encode('<x>', { special: false })).toEqual([258])
    expect([256, 257].map((id) => tokenizer.piece(id).text)).toEqual([' twice', ' twice'])
    expect(tokenizer.decode([258, 259], { skipSpecial: false })).toBe('<x><x>')
    expect(tokenizer.decode([260, 261])).toBe('')
  })

  it('has merges of spaces, scores of none, and the unknown token that it names', () => {
    const silent = { ...sentencePiece, 'tokenizer.ggml.unknown_token_id': 0 }
    expect(ggufTokenizer(tableOf(silent), spec).encode('<unk>a', { special: false })[0]).toBe(0)
    const { 'tokenizer.ggml.scores': _, ...unscored } = sentencePiece
    const tokenizer = ggufTokenizer(tableOf(unscored), spec)
    expect(tokenizer.decode(tokenizer.encode('abc ea'))).toBe('abc ea')
    // no byte tokens: what is no token is the unknown one, named or of its type
    const few = {
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': ['<s>', '</s>', '<none>', '▁', 'a'],
      'tokenizer.ggml.token_type': [3, 3, 2, 1, 1],
      'tokenizer.ggml.add_bos_token': false,
    }
    expect(ggufTokenizer(tableOf(few), spec).encode('azz')).toEqual([3, 4, 2])
    const named = { ...few, 'tokenizer.ggml.token_type': [3, 3, 1, 1, 1], 'tokenizer.ggml.unknown_token_id': 2 }
    expect(ggufTokenizer(tableOf(named), spec).encode('azz')).toEqual([3, 4, 2])
  })
})

describe('ways of cutting a text', () => {
  /** cuts by a vocabulary of nothing but bytes whose merges join everything that is left together */
  const cut = (name: string, text: string) => {
    const whole = ggufPreTokenizer(name)
    const definition: TokenizerDefinition = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: whole?.preTokenizer,
      post_processor: null,
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab: everyPiece(text), merges: [], ignore_merges: true },
    }
    const tokenizer = jsonTokenizer(definition, settings)
    return tokenizer.encode(text).map((id) => tokenizer.piece(id).text)
  }
  /** every part of a text is a token of its own */
  const everyPiece = (text: string) => {
    const vocab: Record<string, number> = {}
    const written = text.replaceAll(' ', 'Ġ').replaceAll('\n', 'Ċ')
    let next = 0
    for (let from = 0; from < written.length; from++)
      for (let to = from + 1; to <= written.length; to++) vocab[written.slice(from, to)] = next++
    return vocab
  }
  const settings = { file: 'test', bosToken: null, eosTokens: [], addBos: null, addEos: null, chatTemplate: null }

  it('are those of the models', () => {
    const text = "We'LL see 12345 tigersEye\n\n  x"
    expect(cut('gpt-2', text)).toEqual(['We', "'", 'LL', ' see', ' 12345', ' tigersEye', '\n\n ', ' x'])
    expect(cut('smollm', 'in 1999')).toEqual(['in', ' ', '1', '9', '9', '9'])
    expect(cut('llama-bpe', text)).toEqual(['We', "'LL", ' see', ' ', '123', '45', ' tigersEye', '\n\n', ' ', ' x'])
    expect(cut('qwen2', 'in 1999')).toEqual(['in', ' ', '1', '9', '9', '9'])
    expect(cut('gpt-4o', "tigersEye's 1999")).toEqual(['tigers', "Eye's", ' ', '199', '9'])
    expect(cut('tekken', 'tigersEye 19')).toEqual(['tigers', 'Eye', ' ', '1', '9'])
    for (const name of ggufPreTokenizerNames()) expect(cut(name, text).join('')).toBe(text)
  })
})

describe('begin and end tokens', () => {
  const definition = (processor: unknown): TokenizerDefinition => ({
    added_tokens: ['<s>', '</s>'].map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: processor,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: { a: 2 }, merges: [] },
  })
  const template = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: {},
  }
  const encode = (processor: unknown, differs: object, text = 'a') => {
    const base = { file: 'test', bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }
    return jsonTokenizer(definition(processor), { ...base, ...differs }).encode(text)
  }

  it('are added as the settings say, else as the template says, else not at all', () => {
    // transformers' PreTrainedTokenizerFast and GPT2Tokenizer name begin tokens and add none
    expect(encode(null, {})).toEqual([2])
    expect(encode({ type: 'ByteLevel' }, {})).toEqual([2])
    expect(encode(null, { eosTokens: [0] })).toEqual([2])
    expect(encode(null, { bosToken: null })).toEqual([2])
    expect(encode(null, { addBos: false })).toEqual([2])
    expect(encode(null, { addBos: true, addEos: true })).toEqual([0, 2, 1])
    expect(encode(template, {})).toEqual([0, 2])
    expect(encode(template, { bosToken: null })).toEqual([0, 2])
    expect(encode(template, { addBos: false })).toEqual([2])
    expect(encode(template, { addEos: true })).toEqual([0, 2, 1])
    expect(encode({ type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] }, { addBos: true })).toEqual([
      0, 2,
    ])
  })

  it('that a text spells out are kept, and no others are added for them', () => {
    for (const differs of [
      {},
      { addBos: false },
      { eosTokens: [0] },
      { bosToken: null },
      { addBos: false, eosTokens: [0] },
    ])
      expect(encode(null, differs, '<s>a'), JSON.stringify(differs)).toEqual([0, 2])
    expect(encode(template, { addBos: false }, '<s>a')).toEqual([0, 2])
    expect(encode(null, {}, '<s><s>a</s>')).toEqual([0, 0, 2, 1])
    // transformers and llama.cpp add what they are told to add even so
    expect(encode(null, { addBos: true, addEos: true }, '<s>a</s>')).toEqual([0, 0, 2, 1, 1])
    expect(encode(template, {}, '<s>a')).toEqual([0, 0, 2])
  })

  it('ids beyond the vocabulary stand for nothing, what is no id is refused', () => {
    const base = { file: 'test', bosToken: 0, eosTokens: [1], addBos: null, addEos: null, chatTemplate: null }
    const tokenizer = jsonTokenizer(definition(null), base)
    expect(tokenizer.decode([2, 900, 2])).toBe('aa')
    expect(tokenizer.decode([])).toBe('')
    for (const wrong of [-1, 0.5, Number.NaN])
      expect(() => tokenizer.piece(wrong)).toThrow(expect.objectContaining({ code: 'argument' }))
    expect(() => tokenizer.applyChatTemplate([])).toThrow(expect.objectContaining({ code: 'argument' }))
  })
})

describe('chat templates', () => {
  const variables = { bosToken: '<s>', eosToken: null, addGenerationPrompt: true }

  it('refuse what they refuse, in their own words', () => {
    const strict = chatTemplate(
      'chat.jinja',
      "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}ok",
    )
    expect(strict([{ role: 'user', content: '' }], variables)).toBe('ok')
    const refused = () => strict([{ role: 'system', content: '' }], variables)
    expect(refused).toThrow(
      expect.objectContaining({ code: 'argument', message: expect.stringContaining('no system') }),
    )
  })

  it('that are none are refused when they are used', () => {
    const broken = chatTemplate('chat.jinja', '{% if %}')
    expect(() => broken([], variables)).toThrow(expect.objectContaining({ code: 'format' }))
    expect(() => broken([], variables)).toThrow(/chat\.jinja/)
  })
})
