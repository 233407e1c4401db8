import { readFile } from 'node:fs/promises'
import { FoveaError } from '../ir/error.ts'
import { evaluateRetrieval } from '../llm/evaluate-retrieval.ts'
import { evaluateText } from '../llm/evaluate-text.ts'
import { openEngine } from '../llm/open-engine.ts'
import { type Command, parseCommand, wholeNumber } from './command.ts'
import { modelHelp, modelOptions, readModelOptions } from './model-options.ts'
import { ProgressBar } from './progress-bar.ts'
import { textTable } from './text-table.ts'

export const evaluateCommand: Command = {
  help: [
    'usage: fovea evaluate --model M (--file PATH | --retrieval LENGTHS) [options]',
    '',
    'How well a model foretells a text, by position in its context; or how often it finds one of several codes hidden in',
    'made-up prose (--retrieval 512,2048,8192).',
    '',
    ...modelHelp,
    '  -f, --file PATH     the text; --max-tokens N takes its first N tokens',
    '  --retrieval LENGTHS tokens of the documents, separated by commas',
    '  --cases N           documents of each length (20); --codes N codes in each (4); --seed S (0)',
    '  --json              one JSON object',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('evaluate', args, {
      ...modelOptions,
      file: { type: 'string', short: 'f' },
      'max-tokens': { type: 'string' },
      retrieval: { type: 'string' },
      cases: { type: 'string', default: '20' },
      codes: { type: 'string', default: '4' },
      seed: { type: 'string', default: '0' },
      json: { type: 'boolean', default: false },
    })
    const { model, options } = await readModelOptions('evaluate', values)
    if ((values.file === undefined) === (values.retrieval === undefined))
      throw new FoveaError('argument', 'fovea evaluate', 'give a text (--file) or lengths of documents (--retrieval)')
    const bar = new ProgressBar('evaluate', values.file === undefined ? 'documents' : 'tokens')
    if (values.file !== undefined) {
      const most = values['max-tokens']
      const text = await readFile(values.file, 'utf8').catch((cause: Error) => {
        throw new FoveaError('io', 'fovea evaluate', cause.message, { cause })
      })
      const found = await evaluateText(model, text, {
        ...options,
        ...(most !== undefined && { maxTokens: wholeNumber('evaluate', '--max-tokens', most, 2) }),
        onProgress: (done, total, nats) => bar.update(done, total, `, ${nats.toFixed(3)} nats`),
      })
      bar.clear()
      if (values.json) return console.log(JSON.stringify(found))
      const { tokens, windows, nats, perplexity, bitsPerByte, seconds } = found
      console.log(
        textTable([
          ['positions', 'tokens', 'nats/token'],
          ...found.byPosition.map((row) => [`${row.from}–${row.to - 1}`, String(row.tokens), row.nats.toFixed(4)]),
        ]),
      )
      console.log(
        `${tokens} tokens in ${windows} windows: ${nats.toFixed(4)} nats/token, perplexity ${perplexity.toFixed(2)}, ${bitsPerByte?.toFixed(4)} bits/byte; ${(tokens / seconds).toFixed(0)} tokens/s`,
      )
      return
    }
    const lengths = (values.retrieval as string)
      .split(',')
      .map((text) => wholeNumber('evaluate', '--retrieval', text, 64))
    const engine = await openEngine(model, { maxSequences: 1, contextLength: Math.max(...lengths), ...options })
    try {
      const found = await evaluateRetrieval(engine, {
        lengths,
        cases: wholeNumber('evaluate', '--cases', values.cases),
        codes: wholeNumber('evaluate', '--codes', values.codes),
        seed: wholeNumber('evaluate', '--seed', values.seed, 0),
        onProgress: (done, total) => bar.update(done, total),
      })
      bar.clear()
      if (values.json) console.log(JSON.stringify(found))
      else
        console.log(
          textTable([
            ['tokens', 'documents', 'right', 'accuracy'],
            ...found.map(({ tokens, cases, correct, accuracy }) => [
              String(tokens),
              String(cases),
              String(correct),
              `${(100 * accuracy).toFixed(0)} %`,
            ]),
          ]),
        )
    } finally {
      await engine.close()
    }
  },
}
