// @ts-check
// `npm run bench -- <name> [options]`: runs one benchmark of this folder from its source.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runStep } from '../scripts/run-step.mjs'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const [name = 'cpu', ...args] = process.argv.slice(2)
const file = join(import.meta.dirname, `${name}.ts`)

if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`bench: Node ${process.versions.node} cannot run the sources; use Node 22.18 or newer`)
  process.exitCode = 1
} else if ((name === 'cpu' || name === 'llm') && !existsSync(join(import.meta.dirname, 'node_modules'))) {
  console.error('bench: the peers are not installed: npm run bench:install')
  process.exitCode = 1
} else if (!existsSync(file)) {
  const names = readdirSync(import.meta.dirname).filter((entry) => entry.endsWith('.ts'))
  console.error(`bench: no benchmark "${name}" among ${names.join(', ')}`)
  process.exitCode = 1
} else {
  process.exitCode = runStep(process.execPath, [file, ...args]) ? 0 : 1
}
