// @ts-check
// On Node >= 22.18 the sources run as they are: loads the source of every subpath, types and all. Run by .ci/run under
// a newer Node than the tests.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
/** @type {string[]} */
const sources = Object.values(manifest.exports)
  .filter((target) => target.endsWith('.js'))
  .map((target) => target.replace('./dist/', 'src/').replace(/\.js$/, '.ts'))
for (const source of sources) await import(pathToFileURL(join(process.cwd(), source)).href)
console.log(`sources: ${sources.length} entries run unbuilt on Node ${process.versions.node}`)
