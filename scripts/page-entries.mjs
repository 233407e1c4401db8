// @ts-check
import { sourceFiles } from './source-files.mjs'

/** what only Node loads */
const nodeEntries = /\/cli\/index\.\w+$/

/**
 * The modules under `root` that pages import by the names of package.json.
 *
 * @param {'src' | 'dist'} root
 * @param {string} ending of modules, with its dot
 */
export function pageEntries(root, ending) {
  return sourceFiles(root, [`index${ending}`]).filter(
    (path) => !path.startsWith('dist/browser/') && !path.endsWith('.d.ts') && !nodeEntries.test(path),
  )
}
