// @ts-check
// How llama.cpp cuts texts, from GGUF files of which only the vocabulary is read, in a process of its own: reads a list of
// jobs { path, texts } as JSON from its input and writes for each { ids, plain } or { error } to its output: the tokens of
// each text with special tokens found in it, and with their spellings as plain text.
import { text as readText } from 'node:stream/consumers'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'

const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  maxThreads: 1,
  logLevel: LlamaLogLevel.error,
})
const results = []
for (const job of /** @type {{ path: string, texts: string[] }[]} */ (JSON.parse(await readText(process.stdin))))
  results.push(await judge(job).catch((error) => ({ error: String(error) })))
process.stdout.write(JSON.stringify(results))
await llama.dispose()

/** @param {{ path: string, texts: string[] }} job */
async function judge({ path, texts }) {
  const model = await llama.loadModel({ modelPath: path, vocabOnly: true })
  const cut = (/** @type {boolean} */ special) => texts.map((text) => [...model.tokenize(text, special)])
  const result = { ids: cut(true), plain: cut(false) }
  await model.dispose()
  return result
}
