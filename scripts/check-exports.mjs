// @ts-check
// Every subpath of package.json has its source, its build and its declarations, loads by the name a user writes, exports
// names only, and the same names for pages as for Node. Says what is missing. Runs after the build.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageEntries } from './package-entries.mjs'
import { runtimePackages } from './runtime-packages.mjs'
import { sourceFiles } from './source-files.mjs'

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
/** @type {string[]} */
const faults = []
let loaded = 0

const entries = packageEntries()
for (const { subpath, source, target, pageTarget, declarations } of entries) {
  if (!existsSync(source)) {
    faults.push(`"${subpath}": ${source} is missing`)
    continue
  }
  const missing = [target, pageTarget, declarations].filter((file) => !existsSync(file))
  if (missing.length > 0) {
    faults.push(`"${subpath}": not built: ${missing.join(', ')}`)
    continue
  }
  const inTree = target.replace('dist/', 'dist/browser/')
  if (pageTarget !== (existsSync(inTree) ? inTree : target))
    faults.push(`"${subpath}": pages get ${pageTarget}, which is not what was built for them`)
  const specifier = subpath.replace('.', manifest.name)
  try {
    const names = Object.keys(await import(specifier))
    if (names.includes('default')) faults.push(`"${subpath}": has a default export`)
    if (names.length === 0) faults.push(`"${subpath}": exports nothing at run time`)
    // no module of pages needs one to be loaded
    const inPages = Object.keys(await import(pathToFileURL(join(process.cwd(), pageTarget)).href))
    if (inPages.join() !== names.join()) faults.push(`"${subpath}": exports ${names} in Node and ${inPages} in pages`)
    loaded += 1
  } catch (error) {
    faults.push(`"${subpath}": import of '${specifier}' failed: ${error}`)
  }
}
for (const [subpath, target] of Object.entries(manifest.exports))
  if (typeof target === 'string' && !existsSync(target)) faults.push(`"${subpath}": ${target} is missing`)

/** @type {string[]} */
const commands = Object.values(manifest.bin)
for (const file of commands) {
  if (!existsSync(file)) faults.push(`bin: ${file} is missing`)
  else if (!readFileSync(file, 'utf8').startsWith('#!/usr/bin/env node')) faults.push(`bin: ${file} has no #! line`)
  else if ((statSync(file).mode & 0o111) === 0) faults.push(`bin: ${file} is not executable`)
}

const exported = new Set(entries.map(({ source }) => source))
for (const path of sourceFiles('src', ['index.ts']))
  if (path.endsWith('/index.ts') && !exported.has(path)) faults.push(`${path}: an index.ts that no subpath needs`)

const needed = Object.values(runtimePackages).flat().sort()
const given = Object.keys(manifest.dependencies ?? {}).sort()
if (given.join() !== needed.join())
  faults.push(`package.json: runtime dependencies are ${given.join(', ')}; the sources may import ${needed.join(', ')}`)

for (const fault of faults) console.error(fault)
console.log(`exports: ${loaded} subpaths load, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0
