#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import type { Command } from './command.ts'

/** Each command is loaded when it is asked for. */
const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  generate: {
    summary: 'continues a text with a language model',
    load: async () => (await import('./generate.ts')).generateCommand,
  },
  chat: {
    summary: 'a conversation with a language model',
    load: async () => (await import('./chat.ts')).chatCommand,
  },
  embed: {
    summary: 'vectors of texts, or texts ranked for a query',
    load: async () => (await import('./embed.ts')).embedCommand,
  },
  serve: {
    summary: 'a language model as an OpenAI-compatible server',
    load: async () => (await import('./serve.ts')).serveCommand,
  },
  evaluate: {
    summary: 'how well a model foretells a text, or finds facts in one',
    load: async () => (await import('./evaluate.ts')).evaluateCommand,
  },
  export: {
    summary: 'writes a model as a GGUF file',
    load: async () => (await import('./export.ts')).exportCommand,
  },
  train: {
    summary: 'trains a model from texts or on a synthetic task',
    load: async () => (await import('./train.ts')).trainCommand,
  },
  tokenizer: {
    summary: 'learns a tokenizer from texts',
    load: async () => (await import('./tokenizer.ts')).tokenizerCommand,
  },
  devices: {
    summary: 'the adapters and back ends of this machine: tiers, limits, features, threads, SIMD',
    load: async () => (await import('./devices.ts')).devicesCommand,
  },
  show: {
    summary: "an algorithm's kernels as IR, WGSL or WAT, and the block map of a mask",
    load: async () => (await import('./show.ts')).showCommand,
  },
  plan: {
    summary: 'bytes that a call, or a model, reads, writes and allocates',
    load: async () => (await import('./plan.ts')).planCommand,
  },
  bench: {
    summary: 'times causal attention on the devices at hand, checked against float64 first',
    load: async () => (await import('./bench.ts')).benchCommand,
  },
}

// a reader that has seen enough (`fovea show flash | head`) is no fault
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
try {
  await main(process.argv.slice(2))
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  console.error(message.replaceAll(/\s*\n\s*/g, ' '))
  process.exitCode = 1
}

async function main(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(overview())
    return
  }
  if (name === '--version' || name === '-v') {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    console.log((JSON.parse(manifest) as { version: string }).version)
    return
  }
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!found) throw new Error(`fovea: no command '${name}'; there are ${Object.keys(commands).join(', ')}`)
  const command = await found.load()
  if (rest.includes('--help') || rest.includes('-h')) console.log(command.help)
  else await command.run(rest)
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  return [
    'usage: fovea <command> [options]',
    '',
    ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'fovea <command> --help says more.',
  ].join('\n')
}
