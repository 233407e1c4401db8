// @ts-check
// Compiles src into dist, which is what the package ships: plain ES modules and their declarations, and under dist/browser
// those that differ in pages.
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { writeBrowserTree } from './browser-tree.mjs'
import { declarePlatform } from './declare-platform.mjs'
import { pageEntries } from './page-entries.mjs'
import { runStep } from './run-step.mjs'
import { sourceFiles } from './source-files.mjs'

rmSync('dist', { recursive: true, force: true })
const built = runStep('tsc', ['--project', 'tsconfig.build.json'])
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755)
if (built) await finish()
process.exitCode = built ? 0 : 1

async function finish() {
  const files = sourceFiles('dist', ['.js', '.d.ts'])
  for (const path of files) {
    const text = readFileSync(path, 'utf8')
    const rewritten = path.endsWith('.d.ts') ? importsOfDeclarations(text) : workersOfModules(text)
    if (rewritten !== text) writeFileSync(path, rewritten)
  }
  declarePlatform(
    'dist',
    files.filter((path) => path.endsWith('.d.ts')),
  )
  // pages start the workers of a pool from a file, Node from the same text
  const { pageWorkerSource } = await import(pathToFileURL('dist/wasm/pool/page-worker-source.js').href)
  writeFileSync('dist/wasm/pool/pool-worker.js', pageWorkerSource)
  writeBrowserTree(pageEntries('dist', '.js'))
  // what is not a twin in the tree is in nobody's way
  for (const path of files) if (/\.browser\.(js|d\.ts)$/.test(path)) rmSync(path)
}

/** The compiler leaves the endings of sources in declarations; versions before 5.7 do not know what to make of them. @param {string} text */
function importsOfDeclarations(text) {
  return text.replace(/((?:from|import\() ?(['"])\.[^'"]*)\.ts\2/g, '$1.js$2')
}

/** …and in addresses of workers. @param {string} text */
function workersOfModules(text) {
  return text.replace(/(new URL\((['"])\.[^'"]*)\.ts\2(, import\.meta\.url\))/g, '$1.js$2$3')
}
