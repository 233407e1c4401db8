import { setTimeout as pause } from 'node:timers/promises'
import { ProcessHandle } from '../process-handle.ts'
import type { ResultRow } from '../result-row.ts'
import { processMemory } from './engine-measures.ts'
import { counted, type LlmRow, round, timesOf } from './llm-row.ts'
import { type ModelSetup, type ModelSystem, modelSystems, type Prompt } from './model-peer.ts'
import type { ModelReplies, ModelRequest } from './model-process.ts'

/** the longest that one answer may take: a prompt of 32,000 tokens on a slow system */
const limitMs = 1_200_000

type Handle = ProcessHandle<ModelRequest, ModelReplies>
type Header = Pick<ResultRow, 'run' | 'commit' | 'machine' | 'node'>

interface Running {
  readonly system: ModelSystem
  readonly title: string
  readonly handle: Handle
  readonly version: string
}

/** Systems that have one model loaded, each in its own process, and the rows that they gave. One that fails is left out from there on. */
export class ModelRun {
  readonly rows: ResultRow[] = []
  readonly #header: Header
  readonly #name: string
  #running: Running[] = []

  /** @param name of the model, which begins the names of all cases */
  constructor(header: Header, name: string) {
    this.#header = header
    this.#name = name
  }

  get systems(): readonly ModelSystem[] {
    return this.#running.map(({ system }) => system)
  }

  /** Loads the model in a system; `title` where it is not the system's own. */
  async open(system: ModelSystem, setup: ModelSetup, title: string = modelSystems[system].title): Promise<void> {
    const handle: Handle = new ProcessHandle('llm/model-process.ts')
    try {
      const { version, openMs, startBytes } = await handle.ask({ kind: 'open', system, setup }, limitMs)
      this.#running.push({ system, title, handle, version })
      console.log(`${title} ${version}: ready after ${round(openMs)} ms, ${round(startBytes / 1e6)} MB before`)
    } catch (error) {
      handle.stop()
      this.#add({ title, version: '' }, { case: 'the model', unit: 'ms', error: firstLine(error) })
    }
  }

  /** Leaves out the systems whose most likely tokens are too seldom the recorded ones. */
  async check(prompts: readonly Prompt[], expected: readonly number[], least: number): Promise<void> {
    await this.#each('the most likely tokens', async ({ title, handle }) => {
      const { tokens } = await handle.ask({ kind: 'next', prompts }, limitMs)
      const right = expected.filter((token, i) => token === tokens[i]).length
      console.log(`${title}: ${right} of ${expected.length} most likely tokens are the recorded ones`)
      if (!(right >= least * expected.length)) throw new Error(`${right} of ${expected.length} tokens are right`)
    })
  }

  /** Prefill of a prompt, the systems in turn. */
  async prefill(name: string, prompt: Prompt, rounds: number, bar: ResultRow['bar'] = undefined): Promise<void> {
    const one = async ({ handle }: Running) => (await handle.ask({ kind: 'prefill', prompt }, limitMs)).ms
    await this.#inTurn(
      name,
      one,
      rounds,
      (times) => ({
        ...{ case: name, unit: 'tokens/s', rate: round((1000 * prompt.tokens.length) / times.medianMs), ...times },
      }),
      bar,
    )
  }

  /** Decode after a prompt, the systems in turn; first once, untimed, so that they have its keys and values. */
  async decode(
    name: string,
    prompt: Prompt,
    count: number,
    rounds: number,
    bar: ResultRow['bar'] = undefined,
  ): Promise<void> {
    const one = async ({ handle }: Running) => (await handle.ask({ kind: 'decode', prompt, count }, limitMs)).msPerToken
    await this.#inTurn(
      name,
      one,
      rounds,
      (times) => ({
        ...{ case: name, unit: 'tokens/s', rate: round(1000 / times.medianMs), ...times },
      }),
      bar,
    )
  }

  /** What only fovea takes part in, one system after the other. */
  async measure(what: Extract<ModelRequest, { kind: 'measure' }>['what'], sizes: MeasureSizes): Promise<void> {
    await this.#each(what, async (running) => {
      if (!running.system.startsWith('fovea')) return
      const start = performance.now()
      const { rows } = await running.handle.ask({ kind: 'measure', what, sizes }, limitMs)
      for (const row of rows) this.#add(running, row)
      console.error(`${what}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
    })
  }

  /** The memory of the other systems that live in their process. */
  async memory(contextLength: number): Promise<void> {
    await this.#each('memory', async (running) => {
      if (running.system !== 'llama-cpp') return
      const { bytes } = await running.handle.ask({ kind: 'resident' })
      const name = `${processMemory}, context ${counted(contextLength)}`
      this.#add(running, { case: name, unit: 'MB', rate: round(bytes / 1e6) })
    })
  }

  /** Ends all processes. */
  async finish(): Promise<void> {
    for (const { handle } of this.#running) {
      await handle.ask({ kind: 'finish' }).catch(() => {})
      handle.stop()
    }
    this.#running = []
  }

  async #inTurn(
    name: string,
    one: (running: Running) => Promise<number>,
    rounds: number,
    row: (times: ReturnType<typeof timesOf>) => LlmRow,
    bar: ResultRow['bar'],
  ): Promise<void> {
    const start = performance.now()
    const times = new Map<Running, number[]>()
    for (let round = -1; round < rounds; round++)
      await this.#each(name, async (running) => {
        // threads may spin for a while after a call: let those of the system before fall asleep
        await pause(100)
        const ms = await one(running)
        if (round >= 0) times.set(running, [...(times.get(running) ?? []), ms])
      })
    for (const running of this.#running) {
      const held = bar && running.system.startsWith('fovea') ? { bar } : {}
      this.#add(running, { ...row(timesOf(times.get(running) ?? [])), ...held })
    }
    console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
  }

  /** Does something with each system; one that fails has that as its row, and is ended. */
  async #each(name: string, work: (running: Running) => Promise<void>): Promise<void> {
    for (const running of [...this.#running])
      try {
        await work(running)
      } catch (error) {
        this.#add(running, { case: name, unit: 'ms', error: firstLine(error) })
        running.handle.stop()
        this.#running = this.#running.filter((other) => other !== running)
      }
  }

  #add({ title, version }: Pick<Running, 'title' | 'version'>, row: LlmRow): void {
    this.rows.push({ ...this.#header, ...row, case: `${this.#name}: ${row.case}`, system: title, version })
  }
}

type MeasureSizes = Extract<ModelRequest, { kind: 'measure' }>['sizes']

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? text
}
