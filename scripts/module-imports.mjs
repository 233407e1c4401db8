// @ts-check
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path/posix'
import ts from 'typescript'

/**
 * @typedef {object} ModuleImport
 * @property {string} specifier as written
 * @property {string | undefined} file the repository path of a relative import; undefined for a bare specifier
 * @property {boolean} typeOnly erased by the compiler
 * @property {boolean} dynamic `import()`: loaded when it is reached, not with the module
 * @property {boolean} worker `new URL(…, import.meta.url)`: a file that a worker is started from
 * @property {number} line
 */

/**
 * What a TypeScript module imports, re-exports and loads lazily.
 *
 * @param {string} path repository path of the module
 * @returns {ModuleImport[]}
 */
export function moduleImports(path) {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2023, true)
  /** @type {ModuleImport[]} */
  const found = []

  /** @param {ts.Node} literal @param {boolean} typeOnly @param {boolean} dynamic @param {boolean} worker */
  const add = (literal, typeOnly, dynamic, worker = false) => {
    if (!ts.isStringLiteral(literal)) return
    const specifier = literal.text
    const file = specifier.startsWith('.') ? join(dirname(path), specifier) : undefined
    const line = source.getLineAndCharacterOfPosition(literal.getStart()).line + 1
    found.push({ specifier, file, typeOnly, dynamic, worker, line })
  }

  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword, false)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      add(node.moduleSpecifier, node.isTypeOnly, false)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true, false)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [target] = node.arguments
      if (target) add(target, false, true)
    } else if (ts.isNewExpression(node) && node.expression.getText() === 'URL') {
      const [target, base] = node.arguments ?? []
      // other files are data
      if (target && base?.getText() === 'import.meta.url' && /\.[jt]s['"]$/.test(target.getText()))
        add(target, false, true, true)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/**
 * The import's file, when it is a relative one that exists.
 *
 * @param {ModuleImport} imported
 */
export function importedFile(imported) {
  return imported.file !== undefined && existsSync(imported.file) ? imported.file : undefined
}
