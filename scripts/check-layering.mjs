// @ts-check
// Holds the house's table: each folder under src imports only from the folders of its row, no file takes part in a
// cycle of imports, and nothing that a page loads needs Node or a package of Node's.
import { pageModules } from './browser-tree.mjs'
import { importedFile, moduleImports } from './module-imports.mjs'
import { pageEntries } from './page-entries.mjs'
import { runtimePackages } from './runtime-packages.mjs'
import { isTest, sourceFiles } from './source-files.mjs'

/**
 * What each folder may import (values and types), and what only by `import type`.
 *
 * @type {Record<string, { values: readonly string[], types?: readonly string[] }>}
 */
const table = {
  ir: { values: [] },
  tile: { values: ['ir'] },
  interpret: { values: ['ir'] },
  wasm: { values: ['ir'] },
  wgsl: { values: ['ir'] },
  device: { values: ['ir', 'tile', 'interpret', 'wasm', 'wgsl'] },
  attention: { values: ['tile'], types: ['ir', 'device'] },
  nn: { values: ['tile'], types: ['ir', 'device'] },
  cache: { values: ['tile', 'device', 'attention', 'nn'], types: ['ir'] },
  model: { values: ['tile', 'nn', 'attention', 'cache', 'device'] },
  llm: { values: ['tile', 'model', 'cache', 'nn', 'device'], types: ['attention'] },
  train: { values: ['tile', 'model', 'cache', 'llm', 'nn', 'attention', 'device'], types: ['ir'] },
}
const everything = Object.keys(table)

table.cli = { values: everything }
// the package's root entry re-exports what a first program needs
table['index.ts'] = { values: everything }

const files = sourceFiles('src', ['.ts']).filter((path) => !isTest(path))
/** @type {Map<string, import('./module-imports.mjs').ModuleImport[]>} */
const imports = new Map(files.map((path) => [path, moduleImports(path)]))
/** @type {string[]} */
const faults = []

/** @param {string} path */
const folderOf = (path) => path.split('/')[1] ?? ''

for (const [path, list] of imports) {
  const folder = folderOf(path)
  const row = table[folder]
  if (!row) {
    faults.push(`${path}: src/${folder} is not in the table of scripts/check-layering.mjs`)
    continue
  }
  for (const imported of list) {
    const at = `${path}:${imported.line}`
    if (imported.file === undefined) {
      const optional = imported.dynamic && imported.specifier === 'webgpu'
      const known = runtimePackages[folder]?.some((name) => `${imported.specifier}/`.startsWith(`${name}/`))
      if (!imported.specifier.startsWith('node:') && !imported.typeOnly && !optional && !known)
        faults.push(`${at}: imports the package "${imported.specifier}", which ${folder} may not`)
      continue
    }
    if (!imported.file.startsWith('src/')) {
      faults.push(`${at}: imports "${imported.specifier}", which lies outside src`)
      continue
    }
    const target = folderOf(imported.file)
    const allowed =
      target === folder || row.values.includes(target) || (imported.typeOnly && row.types?.includes(target))
    if (!allowed) {
      const only = row.types?.includes(target) ? ' other than by `import type`' : ''
      faults.push(`${at}: ${folder} may not import from ${target}${only}`)
    }
    if (path.endsWith('.reference.ts') && !imported.typeOnly && imported.file === path.replace('.reference.ts', '.ts'))
      faults.push(`${at}: a reference shares nothing with the file that it judges`)
  }
}

reportCycles()
reportNodeInBrowser()

for (const fault of faults) console.error(fault)
console.log(`layering: ${files.length} files, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0

/** Depth-first search for imports, type imports included, that lead back to a file on the present path. */
function reportCycles() {
  /** @type {Set<string>} */
  const done = new Set()
  /** @type {string[]} */
  const trail = []
  /** @param {string} path */
  const walk = (path) => {
    if (done.has(path)) return
    const at = trail.indexOf(path)
    if (at >= 0) {
      faults.push(`cycle: ${[...trail.slice(at), path].join(' -> ')}`)
      return
    }
    trail.push(path)
    for (const imported of imports.get(path) ?? []) {
      // a worker is another program
      if (imported.worker) continue
      const next = importedFile(imported)
      if (next) walk(next)
    }
    trail.pop()
    done.add(path)
  }
  for (const path of files) walk(path)
}

/** What pages load, twins in the places of what needs Node, needs no Node and no package. */
function reportNodeInBrowser() {
  for (const { path, imports: list } of pageModules(pageEntries('src', '.ts'), '.ts').values())
    for (const { specifier, file, typeOnly, line } of list)
      if (file === undefined && !typeOnly)
        faults.push(
          `${path}:${line}: pages load this file, and "${specifier}" is not for them: a .browser.ts beside it`,
        )
}
