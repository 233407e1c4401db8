import manifest from '../../package.json' with { type: 'json' }
import * as attention from '../../src/attention/index.ts'
import * as masks from '../../src/attention/masks/index.ts'
import * as normalizers from '../../src/attention/normalizers/index.ts'
import * as scores from '../../src/attention/scores/index.ts'
import * as cache from '../../src/cache/index.ts'
import * as device from '../../src/device/index.ts'
import * as root from '../../src/index.ts'
import * as ir from '../../src/ir/index.ts'
import * as llm from '../../src/llm/index.ts'
import * as server from '../../src/llm/server/index.ts'
import * as model from '../../src/model/index.ts'
import * as nn from '../../src/nn/index.ts'
import * as tile from '../../src/tile/index.ts'
import * as train from '../../src/train/index.ts'

/** What the package exports, by the subpath in package.json. */
export const entries = {
  '.': root,
  attention,
  masks,
  scores,
  normalizers,
  tile,
  ir,
  nn,
  device,
  cache,
  model,
  llm,
  server,
  train,
} as const

const subpaths = Object.keys(manifest.exports)
  // programs of workers export nothing
  .filter((path) => path !== './package.json' && !path.endsWith('-worker'))
  .map((path) => (path === '.' ? path : path.slice(2)))
for (const path of subpaths)
  if (!Object.hasOwn(entries, path))
    throw new Error(`package.json exports ./${path}, test/options/package-entries.ts not`)

export const packageEntries: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = Object.entries(entries)
