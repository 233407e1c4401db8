// @ts-check
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Every file under `folder` with one of the extensions, as a sorted list of paths with `/` between parts.
 * A folder that does not exist has no files.
 *
 * @param {string} folder
 * @param {readonly string[]} extensions with their dot
 * @returns {string[]}
 */
export function sourceFiles(folder, extensions) {
  /** @type {import('node:fs').Dirent[]} */
  let entries
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
  return entries
    .flatMap((entry) => {
      if (entry.name === 'node_modules' || entry.name === 'dist') return []
      const path = join(folder, entry.name).replaceAll('\\', '/')
      if (entry.isDirectory()) return sourceFiles(path, extensions)
      return extensions.some((extension) => entry.name.endsWith(extension)) ? [path] : []
    })
    .sort()
}

/**
 * Whether the file is a test or part of one, which the rules for shipped code leave alone.
 *
 * @param {string} path
 */
export function isTest(path) {
  return path.endsWith('.test.ts') || path.startsWith('test/')
}
