import { createInterface } from 'node:readline/promises'
import { FoveaError } from '../ir/error.ts'
import { openEngine } from '../llm/open-engine.ts'
import type { ChatMessage } from '../model/tokenizer.ts'
import { type Command, parseCommand } from './command.ts'
import { generationReport } from './generation-report.ts'
import {
  modelHelp,
  modelOptions,
  readModelOptions,
  readSampling,
  samplingHelp,
  samplingOptions,
} from './model-options.ts'
import { ProgressBar } from './progress-bar.ts'

export const chatCommand: Command = {
  help: [
    'usage: fovea chat --model M [--system TEXT] [options]',
    '',
    'A conversation: each line is a message. What was said stays in the cache, so that an answer computes only what is new.',
    'Ctrl-C ends an answer, Ctrl-D or /quit the conversation; /stats prints figures of the last answer.',
    '',
    ...modelHelp,
    ...samplingHelp,
    '  --system TEXT       the first message, of the role "system"',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('chat', args, { ...modelOptions, ...samplingOptions, system: { type: 'string' } })
    const { model, options } = await readModelOptions('chat', values)
    const settings = readSampling('chat', values)
    const engine = await openEngine(model, { maxSequences: 1, ...options })
    try {
      if (!engine.tokenizer.hasChatTemplate)
        throw new FoveaError(
          'unsupported',
          'fovea chat',
          `${model} has no chat template: fovea generate continues texts`,
        )
      const messages: ChatMessage[] = values.system ? [{ role: 'system', content: values.system }] : []
      const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' })
      let report = 'nothing was answered yet'
      lines.prompt()
      for await (const line of lines) {
        const content = line.trim()
        if (content === '/quit') break
        if (content === '/stats') process.stderr.write(`${report}\n`)
        else if (content !== '') {
          messages.push({ role: 'user', content })
          const prompt = await engine.tokenizer.encodeChat(messages)
          const generation = engine.generate({ ...settings, prompt, truncatePrompt: true })
          const bar = new ProgressBar('prefill')
          generation.onPrefill = (done, total) => bar.update(done, total)
          const interrupt = () => generation.cancel()
          lines.on('SIGINT', interrupt)
          for await (const { text } of generation) {
            bar.clear()
            process.stdout.write(text)
          }
          lines.off('SIGINT', interrupt)
          process.stdout.write('\n')
          const result = await generation.result
          messages.push({ role: 'assistant', content: result.text })
          report = generationReport(engine, result)
        }
        lines.prompt()
      }
      lines.close()
    } finally {
      await engine.close()
    }
  },
}
