#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { benchCommand } from './bench.ts'
import type { Command } from './command.ts'
import { devicesCommand } from './devices.ts'
import { planCommand } from './plan.ts'
import { showCommand } from './show.ts'

const commands: Readonly<Record<string, Command>> = {
  devices: devicesCommand,
  show: showCommand,
  plan: planCommand,
  bench: benchCommand,
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
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) throw new Error(`fovea: no command '${name}'; there are ${Object.keys(commands).join(', ')}`)
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
