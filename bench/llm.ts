import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { PageFormat } from '../src/attention/paged/page-pool.ts'
import { openCheckpoint } from '../src/model/open-checkpoint.ts'
import { counted } from './llm/llm-row.ts'
import { type ModelSetup, modelSystem, modelSystems, type Prompt } from './llm/model-peer.ts'
import { ModelRun } from './llm/model-run.ts'
import { printRows } from './llm/print-rows.ts'
import { makePrompts, promptOf } from './llm/prompts.ts'
import { appendRows, runHeader } from './result-row.ts'

// The shipped model on two cores, fovea beside its peers: `npm run bench -- llm`; `--formats f32,f16,bf16,q8` compares
// formats of the cache instead.
const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: join(import.meta.dirname, '..', 'models', 'books-recall-16m.gguf') },
    systems: { type: 'string', default: Object.keys(modelSystems).join(',') },
    only: { type: 'string', default: 'prefill,sharing,decode,together,saving,long,growth,memory,lookup' },
    formats: { type: 'string' },
    tokens: { type: 'string', default: '8192' },
    long: { type: 'string', default: '32000' },
    count: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    commit: { type: 'string' },
    out: { type: 'string', default: 'llm' },
    'dry-run': { type: 'boolean', default: false },
  },
})
const [tokens, long, count] = [Number(options.tokens), Number(options.long), Number(options.count)]
const [rounds, threads] = [Number(options.rounds), Number(options.threads)]
const systems = options.systems.split(',').map(modelSystem)
const only = options.only.split(',')

const checkpoint = await openCheckpoint(options.model)
const { tokenizer, spec } = checkpoint
const { document, prompts } = makePrompts(tokenizer, [tokens, long])
const [prompt, longPrompt] = prompts as [Prompt, Prompt]
await checkpoint.close()

const run = new ModelRun(runHeader({ threads }, options.commit), basename(options.model, '.gguf'))
await (options.formats === undefined ? compareSystems() : compareFormats(options.formats.split(',')))
await run.finish()
printRows(run.rows)
if (!options['dry-run']) appendRows(options.out, run.rows)
process.exitCode = run.rows.some(({ system, error }) => system.startsWith('fovea') && error) ? 1 : 0

/** All that the issue asks for, and the same of the peers where they can. */
async function compareSystems(): Promise<void> {
  const setup: ModelSetup = { model: options.model, threads, contextLength: spec.maxPositions }
  for (const system of systems) await run.open(system, setup)
  await checkTokens()
  const sizes = { document, tokens, long, count, rounds }
  const at = (context: number) => `decode at ${counted(context)} tokens of context`
  const parts: Record<string, () => Promise<void>> = {
    prefill: () => run.prefill(`prefill of ${counted(tokens)} tokens`, prompt, Math.min(3, rounds), { least: 600 }),
    sharing: () => run.measure('sharing', sizes),
    decode: () => run.decode(at(tokens), prompt, count, rounds, { least: 100 }),
    together: () => run.measure('together', sizes),
    // leaves the long prefix in the cache, which is not computed again below
    saving: () => run.measure('saving', sizes),
    long: () => run.decode(at(long), longPrompt, count, rounds, { least: 35 }),
    growth: () => run.measure('growth', sizes),
    memory: async () => {
      await run.measure('memory', sizes)
      await run.memory(setup.contextLength)
    },
    lookup: () => run.measure('lookup', sizes),
  }
  for (const [name, part] of Object.entries(parts)) if (only.includes(name)) await part()
}

/** fovea with each format of keys and values. */
async function compareFormats(formats: readonly string[]): Promise<void> {
  const contextLength = tokens + 4 * count
  for (const system of systems.filter((name) => name.startsWith('fovea')))
    for (const cacheFormat of formats as PageFormat[]) {
      const setup = { model: options.model, threads, contextLength, cacheFormat }
      await run.open(system, setup, `${modelSystems[system].title}, cache ${cacheFormat}`)
    }
  await checkTokens()
  await run.prefill(`prefill of ${counted(tokens)} tokens`, prompt, Math.min(3, rounds))
  await run.decode(`decode at ${counted(tokens)} tokens of context`, prompt, count, rounds)
}

/** Refuses to time what is wrong: the most likely tokens that Hugging Face transformers found with the weights in f32. */
async function checkTokens(): Promise<void> {
  if (basename(options.model) !== 'books-recall-16m.gguf') {
    console.log(`${options.model}: nothing is recorded of it to check systems by`)
    return
  }
  const file = join(import.meta.dirname, 'llm', 'recorded-tokens.json')
  const { ids, argmax } = JSON.parse(readFileSync(file, 'utf8')) as { ids: number[]; argmax: number[] }
  const [asked, expected]: [Prompt[], number[]] = [[], []]
  for (let length = 4; length <= ids.length; length++) {
    const found = promptOf(tokenizer, ids.slice(0, length))
    if (!found || asked.length >= 64) continue
    asked.push(found)
    expected.push(argmax[length - 1] as number)
  }
  // 8 bits and caches of 16 or 8 turn a few near ties
  await run.check(asked, expected, 0.9)
}
