// @ts-check
// What llama.cpp makes of GGUF files, in a process of its own: reads a list of jobs { path, ids, count, text } as JSON
// from its input and writes for each to its output { argmax, margins, greedy, textIds } or { error }: the most likely
// token after each of the ids and by how many nats it is ahead of the second, the greedy continuation of `count` tokens,
// and the text as llama.cpp's tokenizer cuts it.
import { text as readText } from 'node:stream/consumers'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'

/** @typedef {{ path: string, ids: number[], count: number, text?: string }} Job */

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
  results.push(await judge(job).catch((error) => ({ error: String(error) })))
process.stdout.write(JSON.stringify(results))
await llama.dispose()

/** @param {Job} job */
async function judge({ path, ids, count, text }) {
  const model = await llama.loadModel({ modelPath: path, checkTensors: true })
  const context = await model.createContext({ contextSize: ids.length + count + 8, flashAttention: false })
  const sequence = context.getSequence()
  const wanted = { generateNext: { token: true, probabilities: true, options: { temperature: 0 } } }
  const outputs = await sequence.controlledEvaluate(ids.map((id) => [id, wanted]))
  const argmax = outputs.map((output) => output?.next.token ?? -1)
  const margins = outputs.map((output) => {
    // most likely first
    const [first = 0, second = 0] = [...(output?.next.probabilities?.values() ?? [])].slice(0, 2)
    return Math.log(first / second)
  })
  const greedy = argmax.slice(-1)
  for await (const token of sequence.evaluate(greedy.slice(), { temperature: 0, yieldEogToken: true })) {
    if (greedy.length >= count) break
    greedy.push(token)
  }
  const textIds = text === undefined ? [] : [...model.tokenize(text, false)]
  await context.dispose()
  await model.dispose()
  return { argmax, margins, greedy, textIds }
}
