// @ts-check
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import ts from 'typescript'
import { isTest, sourceFiles } from './source-files.mjs'

/**
 * The sources and further folders as JavaScript in a new folder, types stripped and nothing checked: what Node 20 runs
 * without a build, and always what the sources say. Gives the folder, which the caller removes.
 *
 * @param {readonly string[]} folders besides src, as `test/fuzz`
 */
export function transpileSources(folders) {
  const target = mkdtempSync(join(tmpdir(), 'fovea-transpiled-'))
  /** @type {ts.CompilerOptions} */
  const compilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  }
  const files = sourceFiles('src', ['.ts']).filter((path) => !isTest(path))
  for (const path of [...files, ...folders.flatMap((folder) => sourceFiles(folder, ['.ts']))]) {
    const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), { fileName: path, compilerOptions })
    const written = join(target, path.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(written), { recursive: true })
    writeFileSync(written, outputText)
  }
  symlinkSync(resolve('node_modules'), join(target, 'node_modules'))
  writeFileSync(join(target, 'package.json'), '{"type":"module"}')
  return target
}
