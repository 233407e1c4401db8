// @ts-check
// `npm run demo`: the shipped language model reads a long document, made up here, on the best device at hand, and goes on
// writing; then what a long context costs: decoding at its end, eight conversations over one document, a second question,
// a saved prefix, memory beside what was planned. Exit code 1 when something is not as it must be.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

// by their URLs, because types are checked before anything is built
const dist = new URL('../dist/', import.meta.url)
/** @type {typeof import('../src/llm/open-engine.ts')} */
const { openEngine } = await import(new URL('llm/open-engine.js', dist).href)
/** @type {typeof import('../src/llm/retrieval-document.ts')} */
const { retrievalDocument } = await import(new URL('llm/retrieval-document.js', dist).href)
/** @type {typeof import('../src/llm/prefix-file.ts')} */
const { restorePrefixFile, savePrefixFile } = await import(new URL('llm/prefix-file.js', dist).href)
/** @type {typeof import('../src/cli/progress-bar.ts')} */
const { ProgressBar } = await import(new URL('cli/progress-bar.js', dist).href)
/** @type {typeof import('../src/cli/generation-report.ts')} */
const { megabytes } = await import(new URL('cli/generation-report.js', dist).href)

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '8192' },
    device: { type: 'string' },
    model: { type: 'string', default: new URL('../models/books-recall-16m.gguf', import.meta.url).pathname },
  },
})
const tokens = Number(values.tokens)
const conversations = 8
const room = 256

/** @type {import('../src/llm/engine-options.ts').EngineOptions} */
const options = {
  ...(values.device && { device: /** @type {import('../src/device/index.ts').DeviceKind} */ (values.device) }),
  contextLength: tokens + room,
  maxSequences: conversations,
  // the document once, and what each conversation adds to it
  cacheTokens: tokens + conversations * room,
}
const engine = await openEngine(values.model, options)
const { kind, info } = engine.cache.device
const { memory } = engine
console.log(
  `model    ${engine.name}, ${engine.checkpoint.spec.architecture}, ${megabytes(engine.checkpoint.byteLength)} of weights`,
)
console.log(`device   ${kind}: ${info.name}${info.simd ? `, ${info.simd}` : ''}`)
console.log(
  `plan     ${megabytes(memory.total)}: weights ${megabytes(memory.weights)}, cache ${megabytes(memory.cache)} (${memory.cacheTokens} tokens in ${memory.cacheFormat}), workspace ${megabytes(memory.workspace)}`,
)

const { text, answer, facts } = retrievalDocument(engine.tokenizer, { tokens, codes: 4, seed: 1 })
const document = engine.tokenizer.encode(text)
console.log(`document ${document.length} tokens of made-up prose, with ${facts.length} codes hidden in it; it ends:`)
console.log(`         … ${text.slice(-150)}`)

// the model reads it and goes on
const reading = engine.generate({
  prompt: document,
  maxTokens: 64,
  ignoreEos: true,
  sampling: { temperature: 0.7, topP: 0.9, seed: 1 },
})
const bar = new ProgressBar('reading ')
reading.onPrefill = (/** @type {number} */ done, /** @type {number} */ total) => bar.update(done, total)
process.stdout.write('answer   ')
for await (const { text: piece } of reading) {
  bar.clear()
  process.stdout.write(piece.replaceAll('\n', ' '))
}
const first = await reading.result
const prefillRate = document.length / (first.timing.prefillMs / 1000)
const oneRate = (first.usage.completionTokens - 1) / (first.timing.decodeMs / 1000)
console.log('\n')
line(
  'prefill',
  `${first.usage.promptTokens} tokens in ${seconds(first.timing.prefillMs)}, ${prefillRate.toFixed(0)} tokens/s`,
)
line('decode', `${oneRate.toFixed(1)} tokens/s at ${document.length} tokens of context`)

// another question about the same document finds it in the cache
const second = await engine.generate({
  prompt: [...document, ...engine.tokenizer.encode(' 1', { special: false })],
  maxTokens: 1,
  sampling: { temperature: 0 },
}).result
const share = (100 * second.timing.prefillMs) / first.timing.prefillMs
line(
  'again',
  `the next question waits ${second.timing.prefillMs.toFixed(0)} ms for its first token, ${share.toFixed(1)} % of the first one's: ${second.usage.cachedTokens} tokens were in the cache`,
)

// eight at once share it
const pagesBefore = engine.stats().pages
const together = await Promise.all(
  Array.from(
    { length: conversations },
    (_, seed) =>
      engine.generate({ prompt: document, maxTokens: 48, ignoreEos: true, sampling: { temperature: 0.8, seed } })
        .result,
  ),
)
const right = [first, ...together].filter((result) => result.text.trimStart().startsWith(answer)).length
line('recall', `${right} of ${1 + conversations} answers begin with ${answer}, which the document states`)
const slowest = Math.max(...together.map(({ timing }) => timing.decodeMs))
const allRate = together.reduce((sum, { usage }) => sum + usage.completionTokens - 1, 0) / (slowest / 1000)
const { pages } = engine.stats()
line(
  'together',
  `${conversations} conversations over it: ${allRate.toFixed(0)} tokens/s, ${(allRate / oneRate).toFixed(1)} × one; ${pages.used + pages.cached - pagesBefore.used - pagesBefore.cached} pages more than before (the document takes ${Math.floor(document.length / 64)})`,
)

// what was read is kept for another day
const folder = mkdtempSync(join(tmpdir(), 'fovea-'))
const path = join(folder, 'document')
const saved = await savePrefixFile(engine, document, path)
const { peak, planned } = engine.stats().memory
await engine.close()
const restoring = await openEngine(values.model, options)
const start = performance.now()
await restorePrefixFile(restoring, path)
const restoreMs = performance.now() - start
const restored = await restoring.generate({
  prompt: document,
  maxTokens: 64,
  ignoreEos: true,
  sampling: { temperature: 0.7, topP: 0.9, seed: 1 },
}).result
line(
  'restored',
  `${saved.tokens} tokens, ${megabytes(statSync(path).size)} on disk, in ${restoreMs.toFixed(0)} ms, ${((100 * restoreMs) / first.timing.prefillMs).toFixed(1)} % of their prefill`,
)
await restoring.close()
rmSync(folder, { recursive: true })
line(
  'memory',
  `${megabytes(peak)} at most on the device, ${megabytes(planned)} planned (${(100 * (peak / planned - 1)).toFixed(2)} %); the process took ${megabytes(process.resourceUsage().maxRSS * 1024)} at most`,
)

const faults = [
  ...(right >= conversations ? [] : [`${right} of ${1 + conversations} answers are right`]),
  ...(restored.tokens.join() === first.tokens.join() ? [] : ['the restored document gave another answer']),
  ...(second.usage.cachedTokens >= document.length - 64 ? [] : ['the document was not found in the cache']),
  ...(Math.abs(peak / planned - 1) <= 0.05 ? [] : ['memory was not as planned']),
]
for (const fault of faults) console.error(`WRONG: ${fault}`)
if (faults.length > 0) process.exitCode = 1
else console.log('\nright: answers, cache and memory are as they must be')

/**
 * @param {string} label
 * @param {string} said
 */
function line(label, said) {
  console.log(`${label.padEnd(8)} ${said}`)
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`
}
