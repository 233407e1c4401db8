// @ts-check
// What vectors llama.cpp makes of texts by a GGUF file, in a process of its own: reads a list of jobs { path, texts } as
// JSON from its input and writes for each to its output { ids, vectors } or { error }.
import { text as readText } from 'node:stream/consumers'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'

/** @typedef {{ path: string, texts: string[] }} Job */

// only the build that lies there: nothing is fetched and nothing compiled. One thread: more wait for each other
const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  maxThreads: 1,
  logLevel: LlamaLogLevel.error,
})
const results = []
for (const job of /** @type {Job[]} */ (JSON.parse(await readText(process.stdin))))
  results.push(await embed(job).catch((error) => ({ error: String(error) })))
process.stdout.write(JSON.stringify(results))
await llama.dispose()

/** @param {Job} job */
async function embed({ path, texts }) {
  const model = await llama.loadModel({ modelPath: path, checkTensors: true })
  const context = await model.createEmbeddingContext({ contextSize: 64 })
  const vectors = []
  for (const text of texts) vectors.push([...(await context.getEmbeddingFor(text)).vector])
  const ids = texts.map((text) => [...model.tokenize(text, false)])
  await context.dispose()
  await model.dispose()
  return { ids, vectors }
}
