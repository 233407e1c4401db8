// @ts-check
// What is committed reads the same everywhere: one licence, no path of the machine it was written on, no registry host,
// no file so large that a clone notices it.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path/posix'

const mebibyte = 1024 * 1024
/** the one large file: the model that the demo, the tests and the example page run */
const shippedModel = 'models/books-recall-16m.gguf'
const mostTracked = 30_000_000
const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
if (listed.status !== 0) throw new Error(`check-repository: git ls-files failed: ${listed.stderr}`)
const files = [...new Set(listed.stdout.split('\0'))].filter(
  (path) => path !== '' && existsSync(path) && statSync(path).isFile(),
)
/** @type {string[]} */
const faults = []

const licences = files.filter((path) => /^(licen[cs]e|copying)(\.|$)/i.test(basename(path)))
if (licences.length !== 1 || licences[0] !== 'LICENSE') faults.push(`one LICENSE at the root, found: ${licences}`)
else if (!/Apache License\s+Version 2\.0/.test(readFileSync('LICENSE', 'utf8')))
  faults.push('LICENSE is not Apache-2.0')
for (const path of files.filter((file) => basename(file) === 'package.json')) {
  const { license } = JSON.parse(readFileSync(path, 'utf8'))
  if (license !== 'Apache-2.0') faults.push(`${path}: "license" is ${license}, not Apache-2.0`)
}

// written in two pieces so that this file does not name what it forbids
const machinePath = new RegExp(`(?<![\\w.])${'/wo'}rk/|${'/ro'}ot/|${'/tm'}p/bash_jobs`)
const registryHost = new RegExp(`https?://${'regi'}stry\\.`)
let tracked = 0
for (const path of files) {
  const { size } = statSync(path)
  tracked += size
  if (size > 2 * mebibyte && path !== shippedModel)
    faults.push(`${path}: ${(size / mebibyte).toFixed(1)} MiB in one file`)
  if (/\.(safetensors|gguf|png|wasm|bin)$/.test(path)) continue
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      if (machinePath.test(line)) faults.push(`${path}:${index + 1}: names a path of one machine`)
      if (registryHost.test(line)) faults.push(`${path}:${index + 1}: names a registry host`)
    })
}

if (tracked > mostTracked) faults.push(`all files together: ${tracked} bytes, at most ${mostTracked}`)
for (const fault of faults) console.error(fault)
console.log(`repository: ${files.length} files, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0
