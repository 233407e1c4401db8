import { describe, expect, it } from 'vitest'
import { chatTemplate } from '../chat-template.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import { bytesSource } from '../files/byte-source.ts'
import { openGguf } from '../files/gguf.ts'
import { writeGguf } from '../files/write-gguf.ts'
import { ggufTokenizer } from '../tokenizers/gguf-tokenizer.ts'
import { jsonTokenizer, type TokenizerDefinition } from '../tokenizers/json-tokenizer.ts'
import { missingTokenizer } from '../tokenizers/missing-tokenizer.ts'
import { preTokenizerName } from './pre-tokenizer-name.ts'
import { tokenizerMetadata } from './tokenizer-metadata.ts'

const byteLevel = (use_regex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
})
const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })
const sequence = (...pretokenizers: unknown[]) => ({ type: 'Sequence', pretokenizers })
const llama3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

describe('preTokenizerName', () => {
  it.each<[string | undefined, unknown, boolean]>([
    ['gpt-2', byteLevel(true), false],
    ['gpt-2', sequence(byteLevel(true)), false],
    ['smollm', sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)), false],
    ['llama-bpe', sequence(split(llama3), byteLevel(false)), true],
    ['dbrx', sequence(split(llama3), byteLevel(false)), false],
    ['qwen2', sequence(split(llama3.replace('{1,3}', '')), byteLevel(false)), false],
    [undefined, sequence(split(llama3.replace('{1,3}', '{1,2}')), byteLevel(false)), false],
    [undefined, sequence({ type: 'Digits', individual_digits: false }, byteLevel(true)), false],
    [undefined, { ...byteLevel(true), add_prefix_space: true }, false],
    [undefined, byteLevel(true), true],
    [undefined, null, false],
  ])('is %s', (name, preTokenizer, ignoreMerges) => {
    expect(preTokenizerName(preTokenizer, ignoreMerges)).toBe(name)
  })
})

describe('tokenizerMetadata', () => {
  const spec = (vocabSize: number) => ({ vocabSize, bosToken: 1, eosTokens: [2, 5] }) as unknown as DecoderSpec
  const tokenizerOf = (definition: TokenizerDefinition, addBos: boolean) =>
    jsonTokenizer(definition, {
      file: 'made',
      bosToken: 1,
      eosTokens: [2, 5],
      addBos,
      addEos: false,
      chatTemplate: chatTemplate('made', '{{ bos_token }}'),
    })
  /** Through a GGUF file and back. */
  const through = async (definition: TokenizerDefinition, vocabSize: number, addBos = true) => {
    const metadata = tokenizerMetadata(tokenizerOf(definition, addBos), spec(vocabSize))
    const parts: Uint8Array[] = []
    await writeGguf({ write: async (bytes) => void parts.push(bytes.slice()) }, metadata, [])
    const table = await openGguf(bytesSource('made.gguf', new Uint8Array(Buffer.concat(parts))))
    return { metadata: table.metadata, tokenizer: ggufTokenizer(table, spec(vocabSize)) }
  }
  const added = (id: number, content: string, special = true) => ({ id, content, special, normalized: false })
  const words = (...tokens: string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]))
  const bytes = {
    added_tokens: [added(1, '<s>'), added(2, '</s>'), added(5, '<|eot|>'), added(6, '<tool>', false)],
    normalizer: null,
    pre_tokenizer: byteLevel(true),
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: words('a', '<s>', '</s>', 'b', 'ab', '<|eot|>', '<tool>', 'Ġ', 'Ġab'),
      merges: [
        ['a', 'b'],
        ['Ġ', 'ab'],
      ],
    },
  }

  it('writes byte-level BPE with kinds of tokens, merges, ends and template', async () => {
    const { metadata, tokenizer } = await through(bytes, 11)
    const get = (key: string) => metadata.get(`tokenizer.${key}`)
    expect([get('ggml.model'), get('ggml.pre')]).toEqual(['gpt2', 'gpt-2'])
    expect(get('ggml.tokens')).toEqual([...Object.keys(bytes.model.vocab), '[PAD9]', '[PAD10]'])
    expect(get('ggml.token_type')).toEqual([1, 3, 3, 1, 1, 3, 4, 1, 1, 5, 5])
    expect(get('ggml.merges')).toEqual(['a b', 'Ġ ab'])
    expect(['bos', 'eos', 'eot'].map((name) => get(`ggml.${name}_token_id`))).toEqual([1, 2, 5])
    expect([get('ggml.add_bos_token'), get('ggml.add_eos_token')]).toEqual([true, false])
    expect(get('chat_template')).toBe('{{ bos_token }}')
    expect(get('huggingface.json')).toBeUndefined()
    const text = 'ab ab<tool>ba</s>'
    expect(tokenizer.encode(text)).toEqual(tokenizerOf(bytes, true).encode(text))
    expect((await through(bytes, 11, false)).metadata.get('tokenizer.ggml.add_bos_token')).toBe(false)
  })

  it('takes merges as text, and refuses tokens beyond the embedding', async () => {
    const older = { ...bytes, model: { ...bytes.model, merges: ['a b', 'Ġ ab'] } }
    const metadata = tokenizerMetadata(tokenizerOf(older, true), spec(9))
    expect(metadata.get('tokenizer.ggml.merges')?.value).toEqual(['a b', 'Ġ ab'])
    expect(() => tokenizerMetadata(tokenizerOf(bytes, true), spec(8))).toThrow('the token "Ġab" has the id 8 of 8')
  })

  it('carries the tokenizer.json where no name tells how it cuts', async () => {
    const odd = { ...bytes, pre_tokenizer: sequence(split('[ab]'), byteLevel(false)) }
    const { metadata, tokenizer } = await through(odd, 9)
    expect(metadata.get('tokenizer.ggml.pre')).toBe('default')
    expect(JSON.parse(String(metadata.get('tokenizer.huggingface.json')))).toEqual(odd)
    expect(tokenizer.encode('ab', { special: false })).toEqual([0, 3])
    const normalised = { ...bytes, normalizer: { type: 'Lowercase' } }
    expect((await through(normalised, 9)).tokenizer.encode('AB', { special: false })).toEqual([4])
  })

  it('writes SentencePiece BPE with scores by the rank of merges', async () => {
    const vocab = words('<unk>', '<s>', '</s>', '<0x41>', '▁', '<|eot|>', 'a', 'b', 'ab', '▁ab', 'ba')
    const pieces = {
      added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>'), added(5, '<|eot|>')],
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Fuse' }] },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: true,
        vocab,
        merges: [
          ['b', 'a'],
          ['a', 'b'],
          ['▁', 'ab'],
        ],
      },
    }
    const { metadata, tokenizer } = await through(pieces, 11)
    const get = (key: string) => metadata.get(`tokenizer.${key}`)
    expect(get('ggml.model')).toBe('llama')
    expect(get('ggml.token_type')).toEqual([2, 3, 3, 6, 1, 3, 1, 1, 1, 1, 1])
    expect((get('ggml.scores') as number[]).slice(8)).toEqual([-1, -2, 0])
    expect(get('ggml.add_space_prefix')).toBe(true)
    for (const text of ['ab', 'aba ab', 'A'])
      expect(tokenizer.encode(text, { special: false }), text).toEqual(
        tokenizerOf(pieces, true).encode(text, { special: false }),
      )
  })

  it('writes none where there is none, and refuses other kinds', () => {
    const none = tokenizerMetadata(missingTokenizer('made', spec(9)), spec(9))
    expect(none.get('tokenizer.ggml.model')?.value).toBe('none')
    expect(none.get('tokenizer.ggml.bos_token_id')?.value).toBe(1)
    const unigram = { ...tokenizerOf(bytes, true), definition: { model: { type: 'Unigram', vocab: [] } } }
    expect(() => tokenizerMetadata(unigram, spec(9))).toThrow('no tokenizer of the type Unigram')
  })
})
