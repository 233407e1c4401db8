// @ts-check
// Compiles programs under the settings that users have, with one version of TypeScript, and prints what each says:
// `node compile-program.mjs <typescript> <every-entry.ts> <with-dom.ts>`. A process of its own for each version; files are
// parsed once.
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'

const [version = '', program = '', withDom = ''] = process.argv.slice(2)
/** @type {typeof import('typescript')} */
const ts = (await import(pathToFileURL(version).href)).default

/** @type {Map<string, import('typescript').SourceFile | undefined>} */
const parsed = new Map()
/** @type {Record<string, string[]>} */
const said = {}
const dom = ['es2022', 'dom', 'dom.iterable']
const alone = ['es2022']
/** @type {[resolution: 'nodenext' | 'bundler', libraries: string[], types: string[]][]} */
const settings = [
  ['nodenext', dom, []],
  ['nodenext', dom, ['node']],
  ['nodenext', alone, []],
  ['nodenext', alone, ['node']],
  ['bundler', dom, []],
  ['bundler', alone, ['node']],
]
for (const [resolution, libraries, types] of settings) {
  const { options, errors } = ts.convertCompilerOptionsFromJson(
    {
      target: 'es2022',
      module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
      moduleResolution: resolution,
      lib: libraries,
      types,
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    },
    dirname(program),
  )
  const host = ts.createCompilerHost(options)
  const { getSourceFile } = host
  host.getSourceFile = (name, language, ...rest) => {
    // the form of a module is part of how it is parsed
    const key = `${name} ${JSON.stringify(language)}`
    if (!parsed.has(key)) parsed.set(key, getSourceFile(name, language, ...rest))
    return parsed.get(key)
  }
  const found = [
    ...errors,
    ...ts.getPreEmitDiagnostics(ts.createProgram(libraries === dom ? [program, withDom] : [program], options, host)),
  ]
  said[`${resolution}, lib ${libraries[1] ?? 'es2022 alone'}${types.length > 0 ? ', @types/node' : ''}`] = found.map(
    ({ file, start = 0, messageText }) => {
      const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0
      return `${file?.fileName}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    },
  )
}
console.log(JSON.stringify(said))
