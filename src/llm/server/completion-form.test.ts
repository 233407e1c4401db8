import { expect, it } from 'vitest'
import { bytesByLetter } from '../../model/tokenizers/byte-letters.ts'
import { jsonTokenizer } from '../../model/tokenizers/json-tokenizer.ts'
import { completionForm } from './completion-form.ts'

const letters = [...bytesByLetter()]
const tokenizer = jsonTokenizer(
  {
    added_tokens: [{ id: 256, content: '<|skip|>', special: true, normalized: false }],
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(letters), merges: [] },
  },
  { file: 'made', bosToken: null, eosTokens: [], addBos: null, addEos: null, chatTemplate: null },
)
const tokensOf = (text: string) => [...new TextEncoder().encode(text)]

it('offsets are where tokens begin in the text, whatever characters they are pieces of', () => {
  const told = (prompt: string, tokens: readonly number[], echo = '') => {
    const form = completionForm('m', tokenizer, [tokensOf(prompt)], echo === '' ? [] : [echo])
    const events = tokens.map((token) => ({ token, text: '', logprob: { token, logprob: -1, top: [] } }))
    const { logprobs } = form.whole(0, '', events, 'length') as {
      logprobs: { text_offset: number[]; tokens: string[] }
    }
    return [logprobs.text_offset, logprobs.tokens]
  }
  const bytes = (...values: string[]) => values.map((value) => `bytes:\\x${value}`)
  expect(told('a', tokensOf('é!'))).toEqual([
    [0, 0, 1],
    [...bytes('c3', 'a9'), '!'],
  ])
  expect(told('a', tokensOf('🌊ab'))[0]).toEqual([0, 0, 0, 0, 2, 3])
  expect(told('a', [...tokensOf('x'), 256, ...tokensOf('y')])[0]).toEqual([0, 1, 1])
  expect(told('a', tokensOf('日本'), 'ab')[0]).toEqual([2, 2, 2, 3, 3, 3])
  // U+FFFD may be a character like any other
  expect(told('', tokensOf('\uFFFDb'))[0]).toEqual([0, 0, 0, 1])
})
