// @ts-check
// Writes dist/browser, to which the `browser` condition of package.json leads. A source `name.browser.ts` stands there in
// place of the `name.ts` beside it, which needs Node. Only modules that lead to such a place are written a second time;
// all others are those of dist, so that a page has every module once.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path/posix'
import { moduleImports } from './module-imports.mjs'

const dist = 'dist'
const tree = 'dist/browser'

/**
 * @typedef {object} PageModule
 * @property {string} path the file in dist
 * @property {readonly import('./module-imports.mjs').ModuleImport[]} imports
 */

/**
 * The modules that pages load from `entries`, by their place in `root`: the file, or the twin that stands in for it.
 *
 * @param {readonly string[]} entries
 * @param {string} ending of modules, with its dot
 * @returns {Map<string, PageModule>}
 */
export function pageModules(entries, ending) {
  /** @type {Map<string, PageModule>} */
  const modules = new Map()
  /** @param {string} place */
  const walk = (place) => {
    if (modules.has(place)) return
    const twin = place.replace(new RegExp(`\\${ending}$`), `.browser${ending}`)
    const path = existsSync(twin) ? twin : place
    if (!existsSync(path)) return
    const imports = moduleImports(path)
    modules.set(place, { path, imports })
    for (const { file, typeOnly } of imports) if (file !== undefined && !typeOnly) walk(placeOf(file))
  }
  for (const entry of entries) walk(entry)
  return modules
}

/** Where a module or its twin stands. @param {string} path */
const placeOf = (path) => path.replace(/\.browser(\.\w+)$/, '$1')

/**
 * @param {readonly string[]} entries modules of dist that pages import
 * @returns {readonly string[]} places of the modules that were written
 */
export function writeBrowserTree(entries) {
  const modules = pageModules(entries, '.js')
  /** @type {Map<string, string[]>} */
  const importers = new Map()
  /** @type {string[]} */
  const first = []
  for (const [place, { path, imports }] of modules) {
    if (path !== place) first.push(place)
    for (const { file, worker } of imports) {
      if (file === undefined) continue
      importers.set(placeOf(file), [...(importers.get(placeOf(file)) ?? []), place])
      // wherever a bundler leaves it, a worker's file is beside that of the module that starts it
      if (worker) first.push(placeOf(file))
    }
  }
  /** @type {Set<string>} */
  const written = new Set()
  /** @param {string} place */
  const write = (place) => {
    if (written.has(place)) return
    written.add(place)
    for (const importer of importers.get(place) ?? []) write(importer)
  }
  for (const place of first) write(place)
  for (const place of written) {
    const target = place.replace(dist, tree)
    mkdirSync(dirname(target), { recursive: true })
    const module = modules.get(place)
    if (!module) throw new Error(`${place}: a module of pages imports it, and it is not there`)
    writeFileSync(target, textInTree(module, dirname(target), written))
  }
  return [...written].sort()
}

/**
 * A module's text with its imports as they are seen from `folder`.
 *
 * @param {PageModule} module
 * @param {string} folder
 * @param {ReadonlySet<string>} written
 */
function textInTree({ path, imports }, folder, written) {
  let text = readFileSync(path, 'utf8')
  for (const { specifier, file } of imports) {
    if (file === undefined) continue
    const place = placeOf(file)
    const there = relative(folder, written.has(place) ? place.replace(dist, tree) : place)
    const seen = there.startsWith('.') ? there : `./${there}`
    for (const quote of ["'", '"', '`']) text = text.replaceAll(quote + specifier + quote, quote + seen + quote)
  }
  return text
}
