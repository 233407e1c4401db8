import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { FoveaError } from '../ir/error.ts'
import { openEngine } from '../llm/open-engine.ts'
import { restorePrefixFile, savePrefixFile } from '../llm/prefix-file.ts'
import { type Command, parseCommand } from './command.ts'
import { generationReport, megabytes } from './generation-report.ts'
import {
  modelHelp,
  modelOptions,
  readModelOptions,
  readSampling,
  samplingHelp,
  samplingOptions,
} from './model-options.ts'
import { ProgressBar } from './progress-bar.ts'

export const generateCommand: Command = {
  help: [
    'usage: fovea generate --model M [--prompt TEXT | --file PATH] [options]',
    '',
    'Continues a text; without --prompt and --file it is read from the standard input. The answer goes to the standard',
    'output as it comes, progress and figures to the standard error.',
    '',
    ...modelHelp,
    ...samplingHelp,
    '  --truncate          a prompt beyond the context loses its oldest tokens instead of being refused',
    '  --restore PATH      start from a prefix saved before; --save PATH saves that of this prompt',
    '  --quiet             the answer only',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('generate', args, {
      ...modelOptions,
      ...samplingOptions,
      prompt: { type: 'string', short: 'p' },
      file: { type: 'string', short: 'f' },
      truncate: { type: 'boolean', default: false },
      restore: { type: 'string' },
      save: { type: 'string' },
      quiet: { type: 'boolean', default: false },
    })
    const { model, options } = await readModelOptions('generate', values)
    const settings = readSampling('generate', values)
    const prompt = await promptOf(values.prompt, values.file)
    const note = (line: string) => {
      if (!values.quiet) process.stderr.write(`${line}\n`)
    }
    // one text needs one sequence
    const engine = await openEngine(model, { maxSequences: 1, ...options })
    try {
      if (values.restore) {
        const start = performance.now()
        const tokens = await restorePrefixFile(engine, values.restore)
        note(`restored ${tokens.length} tokens in ${((performance.now() - start) / 1000).toFixed(2)} s`)
      }
      const stop = new AbortController()
      const interrupt = () => stop.abort()
      process.once('SIGINT', interrupt)
      const generation = engine.generate({ ...settings, prompt, truncatePrompt: values.truncate, signal: stop.signal })
      const bar = new ProgressBar('prefill')
      if (!values.quiet) generation.onPrefill = (done, total) => bar.update(done, total)
      for await (const event of generation) {
        bar.clear()
        process.stdout.write(event.text)
      }
      const result = await generation.result
      process.off('SIGINT', interrupt)
      process.stdout.write('\n')
      note(generationReport(engine, result))
      if (values.save) {
        const saved = await savePrefixFile(engine, engine.tokenizer.encode(prompt), values.save)
        note(`saved    ${saved.tokens} tokens in ${megabytes(saved.bytes)} to ${values.save}`)
      }
    } finally {
      await engine.close()
    }
  },
}

async function promptOf(prompt: string | undefined, file: string | undefined): Promise<string> {
  const where = 'fovea generate'
  if (prompt !== undefined && file !== undefined)
    throw new FoveaError('argument', where, '--prompt and --file both give a text: choose one')
  if (prompt !== undefined) return prompt
  if (file === undefined && process.stdin.isTTY)
    throw new FoveaError('argument', where, 'what is to be continued? --prompt, --file or the standard input')
  if (file === undefined) return text(process.stdin)
  return readFile(file, 'utf8').catch((cause: Error) => {
    throw new FoveaError('io', where, cause.message, { cause })
  })
}
