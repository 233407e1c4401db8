import { describe, expect, it } from 'vitest'
import { closestName } from '../../tile/index.ts'
import { presets } from './presets.ts'
import { readTrainConfig } from './read-config.ts'

const model = {
  model_type: 'llama',
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 128,
}
const valid = { model, data: { task: 'mqar' }, length: 64, batch: 8, steps: 100, optimizer: { name: 'adamw' } }
const texts = { texts: 'books' }

describe('readTrainConfig', () => {
  it.each(Object.keys(presets))('reads the preset %s', (name) => {
    expect(readTrainConfig(presets[name]?.config).name).toBe(name)
  })

  it('fills in what follows from the rest', () => {
    const read = readTrainConfig(valid)
    expect(read.model).toMatchObject({ vocab_size: 256, max_position_embeddings: 64 })
    expect(read).toMatchObject({ accumulate: 1, attention: 'full', clip: 1, evaluate: { every: 100, batches: 8 } })
    expect(read.data).toEqual([{ task: 'mqar', share: 1, vocabSize: 256, pairs: 4, powerLaw: 0.01, noise: false }])
    // a configuration that was read can be written and read again
    expect(readTrainConfig(JSON.parse(JSON.stringify(read)))).toEqual(read)
    const learnt = readTrainConfig({ ...valid, data: texts, tokenizer: { vocabSize: 300 } })
    expect(learnt.model).toMatchObject({ vocab_size: 300 })
    expect(learnt.data).toEqual([{ texts: ['books'], share: 1, heldOut: 0.01 }])
  })

  it.each<[string, Record<string, unknown>, string[]]>([
    [
      'unknown fields',
      { lenght: 3, x: 1 },
      ['lenght: no such field; did you mean length?', 'x: no such field; there are name, model'],
    ],
    [
      'several faults at once',
      { batch: 'x', steps: 0 },
      ['batch: must be a whole number of at least 1, got "x"', 'steps: must be a whole number of at least 1, got 0'],
    ],
    ['what is missing', { length: undefined }, ['length: missing, it must be a whole number of at least 2']],
    ['an unknown task', { data: { task: 'mqra' } }, ['data.task: no task "mqra"; did you mean mqar?']],
    ['a field of another task', { data: { task: 'induction', pairs: 3 } }, ['data.pairs: no such field']],
    [
      'an unknown field in a list',
      { data: [{ ...texts, shared: 1 }] },
      ['data[0].shared: no such field; did you mean share?'],
    ],
    [
      'a field that the architecture does not read',
      { model: { ...model, num_hiden_layers: 2 } },
      ['model.num_hiden_layers: llama reads no such field; did you mean num_hidden_layers?'],
    ],
    [
      'heads that do not divide',
      { model: { ...model, num_attention_heads: 3 } },
      ['model.num_attention_heads 3 does not divide the hidden size 64'],
    ],
    [
      'an unknown architecture',
      { model: { ...model, model_type: 'lama' } },
      ['model_type is the unknown architecture "lama"'],
    ],
    ['an unknown optimiser', { optimizer: { name: 'adam' } }, ['name must be one of sgd, adamw', 'got "adam"']],
    ['an unknown attention', { attention: 'widow:8' }, ['there is no attention "widow:8"']],
    [
      'a schedule longer than the run',
      { schedule: { name: 'cosine', warmup: 500 } },
      ['warmup 500 is more than all 100 steps'],
    ],
    [
      'rows longer than the positions',
      { model: { ...model, max_position_embeddings: 32 } },
      ['length 64 is longer than the 32 positions of the model'],
    ],
    [
      'a vocabulary too small for the task',
      { model: { ...model, vocab_size: 100 } },
      ['model.vocab_size 100 is smaller than the vocabulary 256 of mqar'],
    ],
    [
      'a vocabulary that is not the tokenizer’s',
      { model: { ...model, vocab_size: 100 }, data: texts, tokenizer: { vocabSize: 300 } },
      ['model.vocab_size 100 disagrees with tokenizer.vocabSize 300'],
    ],
    ['texts without a tokenizer', { data: texts }, ['tokenizer: missing; texts need one']],
    ['a tokenizer without texts', { tokenizer: 'x.json' }, ['mqar is made of numbered tokens and takes no tokenizer']],
    [
      'numbers among texts',
      { data: [{ task: 'mqar' }, texts] },
      ['mqar is made of numbered tokens, which no text can be mixed with'],
    ],
    ['two runs of one name', { compare: [{ name: 'a' }, { name: 'a' }] }, ['two runs are called "a"']],
  ])('names %s', (_, change, messages) => {
    try {
      readTrainConfig({ ...valid, ...change }, 'my.json')
    } catch (error) {
      expect(error).toMatchObject({ code: 'argument', where: 'readTrainConfig' })
      for (const message of ['my.json: ', ...messages]) expect((error as Error).message).toContain(message)
      return
    }
    expect.fail('nothing was thrown')
  })
})

describe('closestName', () => {
  it('finds what was probably meant, and nothing for what is like nothing', () => {
    expect(closestName('steps ', ['steps', 'seed'])).toBe('steps')
    expect(closestName('hidden_szie', ['hidden_size', 'head_dim'])).toBe('hidden_size')
    expect(closestName('banana', ['steps', 'seed'])).toBeNull()
  })
})
