// @ts-check
// On Node >= 22.18 the sources run as they are: loads the source of every subpath, types and all. Run by .ci/run under
// a newer Node than the tests.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageEntries } from './package-entries.mjs'

const sources = packageEntries().map(({ source }) => source)
for (const source of sources) await import(pathToFileURL(join(process.cwd(), source)).href)
console.log(`sources: ${sources.length} entries run unbuilt on Node ${process.versions.node}`)
