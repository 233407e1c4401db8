import { readFile } from 'node:fs/promises'
import { FoveaError } from '../ir/error.ts'
import { meant } from '../tile/index.ts'
import { attentionVariants } from '../train/attention-variants.ts'
import { taskNames } from '../train/config/data-config.ts'
import { presets } from '../train/config/presets.ts'
import { readTrainConfig } from '../train/config/read-config.ts'
import { readJson, runFiles } from '../train/run/run-folder.ts'
import { trainRuns } from '../train/run/train-runs.ts'
import { type Command, parseCommand } from './command.ts'
import { TrainProgress } from './train-progress.ts'

const options = {
  preset: { type: 'string' },
  task: { type: 'string' },
  texts: { type: 'string', multiple: true },
  attention: { type: 'string' },
  steps: { type: 'string' },
  length: { type: 'string' },
  batch: { type: 'string' },
  'learning-rate': { type: 'string' },
  seed: { type: 'string' },
  device: { type: 'string' },
  set: { type: 'string', multiple: true },
  out: { type: 'string', short: 'o' },
  resume: { type: 'string' },
} as const

export const trainCommand: Command = {
  help: [
    'usage: fovea train CONFIG.json | --preset NAME | --task NAME | --resume FOLDER [options]',
    '',
    'Trains a model: log (train.jsonl), checkpoints, report (report.html) and the model (safetensors) are written to a folder. An',
    'interrupt (Ctrl-C) saves and ends; a run that was ended or killed goes on with --resume, to the same weights.',
    '',
    ...Object.entries(presets).map(([name, { says }]) => `  --preset ${name.padEnd(10)} ${says}`),
    `  --task NAME         a synthetic task with the model of the preset tiny: ${taskNames.filter((name) => name !== 'retrieval').join(', ')}`,
    `  --attention NAME    ${Object.keys(attentionVariants).join(', ')}; with a value: window:8, softcap:50`,
    '  --texts PATH        a file or a folder of texts; may be given several times',
    '  --steps N  --length N  --batch N  --learning-rate R  --seed S',
    '  --device KIND       webgpu, wasm or interpret (the best at hand)',
    '  --set FIELD=VALUE   any other field of the configuration, such as optimizer.weightDecay=0.1',
    '  -o, --out FOLDER    where it is written (runs/NAME)',
    '  --resume FOLDER     goes on with the run in it; with --steps, for longer',
  ].join('\n'),
  async run(args) {
    const { values, positionals } = parseCommand('train', args, options, 1)
    const file = positionals[0]
    const { resume, preset, task } = values
    const named = [file, preset, resume].filter((name) => name !== undefined)
    if (named.length > 1) throw failed(`give one of CONFIG.json, --preset and --resume, got ${named.join(', ')}`)
    if (named.length === 0 && task === undefined && values.texts === undefined)
      throw failed('what is to be trained? Give a CONFIG.json, --preset, --task or --texts')
    const folder = resume ?? values.out
    const source = resume ?? file ?? preset ?? (values.texts ? 'books' : 'tiny')
    const raw = resume !== undefined ? await readRun(resume) : await readSource(file, source)
    const config = readTrainConfig(changed(raw, values), source)
    const interrupt = new AbortController()
    const onSignal = () => {
      if (interrupt.signal.aborted) process.exit(130)
      interrupt.abort()
      progress.say('saving …')
    }
    const progress = new TrainProgress()
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    try {
      const out = folder ?? `runs/${config.name}`
      const done = await trainRuns({
        config,
        folder: out,
        mayGoOn: resume !== undefined,
        signal: interrupt.signal,
        ...progress.events,
      })
      progress.clear()
      if (!done.finished) {
        console.log(`saved after ${done.steps} of ${config.steps} steps; fovea train --resume ${out} goes on`)
        process.exitCode = 130
        return
      }
      for (const line of done.summary) console.log(line)
      console.log(`${out} holds ${runFiles.model}/ (safetensors), ${runFiles.report} and ${runFiles.log}`)
    } finally {
      progress.clear()
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    }
  },
}

type Fields = Record<string, unknown>
type Values = ReturnType<typeof parseCommand<typeof options>>['values']

async function readRun(folder: string): Promise<Fields> {
  const kept = await readJson(folder, runFiles.config)
  if (kept === null) throw failed(`--resume: ${folder} holds no run (no ${runFiles.config})`)
  return kept as Fields
}

async function readSource(file: string | undefined, name: string): Promise<Fields> {
  if (file === undefined) {
    const preset = Object.hasOwn(presets, name) ? presets[name] : undefined
    if (!preset) throw failed(`--preset: no preset '${name}'${meant(name, Object.keys(presets))}`)
    return structuredClone(preset.config) as Fields
  }
  const content = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new FoveaError('io', 'fovea train', cause.message, { cause })
  })
  try {
    return JSON.parse(content) as Fields
  } catch (cause) {
    throw new FoveaError('format', 'fovea train', `${file}: ${(cause as Error).message}`, { cause })
  }
}

/** The configuration with what the options say. */
function changed(config: Fields, values: Values): Fields {
  const { task, texts, attention } = values
  if (task !== undefined && texts !== undefined) throw failed('--task and --texts: give one of them')
  if (task !== undefined) {
    config.data = { task }
    config.compare = []
    config.name = task
    if (task !== 'mqar') config.stages = []
  }
  if (texts !== undefined) config.data = { texts }
  if (attention !== undefined) {
    config.attention = attention
    config.compare = []
  }
  if (values.length !== undefined) config.stages = []
  if (values.resume === undefined) scaleStages(config, Number(values.steps))
  const numbers = {
    steps: 'steps',
    length: 'length',
    batch: 'batch',
    seed: 'seed',
    'learning-rate': 'optimizer.learningRate',
  } as const
  for (const [option, path] of Object.entries(numbers)) {
    const given = values[option as keyof typeof numbers]
    if (given !== undefined) setField(config, path, Number.isNaN(Number(given)) ? given : Number(given))
  }
  if (values.device !== undefined) config.device = values.device
  for (const change of values.set ?? []) {
    const [path = '', ...rest] = change.split('=')
    if (rest.length === 0) throw failed(`--set takes FIELD=VALUE, got '${change}'`)
    setField(config, path, jsonOrText(rest.join('=')))
  }
  return config
}

/** Stages take the same part of a run that is made shorter or longer. */
function scaleStages(config: Fields, steps: number): void {
  const before = config.steps
  if (!Number.isSafeInteger(steps) || typeof before !== 'number' || !Array.isArray(config.stages)) return
  const stages = (config.stages as Fields[]).map((stage) => ({
    ...stage,
    until: Math.max(1, Math.round((Number(stage.until) * steps) / before)),
  }))
  config.stages = stages.filter(({ until }) => until < steps)
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function setField(config: Fields, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() as string
  let at = config
  for (const name of names) {
    at[name] = typeof at[name] === 'object' && at[name] !== null ? at[name] : {}
    at = at[name] as Fields
  }
  at[last] = value
}

function failed(message: string): FoveaError {
  return new FoveaError('argument', 'fovea train', message)
}
