// @ts-check
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path/posix'
import ts from 'typescript'

const objects = 'scripts/declarations/platform-objects.d.ts'

/**
 * Makes declarations independent of the libraries that a user's program is compiled with: names of the platform (`Blob`,
 * `GPUDevice` …) that they mention are imported from a file of the package, which says what they are where nobody declares
 * them.
 *
 * @param {string} folder
 * @param {readonly string[]} files the declarations in it
 */
export function declarePlatform(folder, files) {
  const target = `${folder}/platform-objects.d.ts`
  const names = new Set(
    [...readFileSync(objects, 'utf8').matchAll(/^export (?:type|declare const) (\w+)/gm)].map(([, name]) => name ?? ''),
  )
  copyFileSync(objects, target)
  for (const path of files) {
    const text = readFileSync(path, 'utf8')
    const used = mentioned(path, text, names)
    if (used.length === 0) continue
    const from = relative(dirname(path), target.replace(/\.d\.ts$/, '.js'))
    const import_ = `import type { ${used.join(', ')} } from '${from.startsWith('.') ? from : `./${from}`}';\n`
    writeFileSync(path, import_ + text)
  }
}

/**
 * The names that a file refers to as types or in `typeof`, and does not import or declare itself.
 *
 * @param {string} path
 * @param {string} text
 * @param {ReadonlySet<string>} names
 */
function mentioned(path, text, names) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  /** @type {Set<string>} */
  const used = new Set()
  /** @type {Set<string>} */
  const own = new Set()
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName)) used.add(node.typeName.text)
    if (ts.isTypeQueryNode(node) && ts.isIdentifier(node.exprName)) used.add(node.exprName.text)
    if (ts.isImportSpecifier(node) || ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node))
      own.add(node.name.text)
    if (ts.isTypeParameterDeclaration(node)) own.add(node.name.text)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return [...used].filter((name) => names.has(name) && !own.has(name)).sort()
}
