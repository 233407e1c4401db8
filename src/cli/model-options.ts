import type { ParseArgsConfig } from 'node:util'
import type { DeviceKind } from '../device/index.ts'
import { FoveaError } from '../ir/error.ts'
import type { EngineOptions } from '../llm/engine-options.ts'
import type { SamplingOptions } from '../llm/generation.ts'
import { loadedWeights } from '../model/quantised-checkpoint.ts'
import { oneOf, wholeNumber } from './command.ts'
import { resolveModel } from './resolve-model.ts'

/** Options of every command that runs a model: how the engine is set up. */
export const modelOptions = {
  model: { type: 'string', short: 'm' },
  device: { type: 'string' },
  threads: { type: 'string' },
  'wide-vectors': { type: 'boolean', default: false },
  context: { type: 'string' },
  sequences: { type: 'string' },
  'cache-tokens': { type: 'string' },
  'cache-format': { type: 'string' },
  'page-size': { type: 'string' },
  window: { type: 'string' },
  sinks: { type: 'string' },
  chunk: { type: 'string' },
  lookup: { type: 'string' },
  draft: { type: 'string' },
  'draft-tokens': { type: 'string' },
  'ignore-field': { type: 'string', multiple: true },
  weights: { type: 'string' },
  adapter: { type: 'string', multiple: true },
} as const satisfies NonNullable<ParseArgsConfig['options']>

export const modelHelp: readonly string[] = [
  '  -m, --model M       a folder as Hugging Face lays it out, a .gguf file, owner/name of the Hub (:file.gguf of it), or a URL',
  '  --device KIND       webgpu, wasm or interpret (the best at hand)',
  '  --threads N         WebAssembly: threads (as many as the machine has)',
  '  --wide-vectors      WebAssembly in Node: join vectors to 256 bits, by an experimental flag of V8',
  '  --weights DTYPE     quantise while loading: q8_0 or q4_0 (as the model is stored)',
  '  --adapter FOLDER    adapters of Hugging Face PEFT that are added while loading; may be given several times',
  '  --context N         most tokens of prompt and answer together (what the model was made for)',
  '  --cache-tokens N    tokens of all sequences and kept prefixes (one context)',
  '  --cache-format F    f32, f16, bf16, q8 or q4 (bf16 on WebAssembly, f16 on a GPU with it)',
  '  --page-size N       tokens of a page, 16 to 256 (64)',
  '  --window N          keep only the N newest tokens, and with --sinks K the first K',
  '  --sequences N       most generations at once (8)',
  '  --chunk N           tokens of a step of prefill (512)',
  '  --lookup N          propose N tokens from the text itself, and verify them together',
  '  --ignore-field F    a setting of the model that is to be read past; may be given several times',
  '  --draft M           propose tokens by a smaller model; --draft-tokens N at a time (4)',
]

/** The values that `parseCommand` gives for `modelOptions`. */
export type ModelValues = { readonly [Name in keyof typeof modelOptions]?: string | boolean | string[] | undefined }

/** The model, downloaded if need be, and the set-up of its engine. Rejects with `argument` naming the option, and what `resolveModel` rejects with. */
export async function readModelOptions(
  command: string,
  values: ModelValues,
): Promise<{ model: string; options: EngineOptions }> {
  const text = (name: keyof ModelValues) => values[name] as string | undefined
  const count = (name: keyof ModelValues, least = 1) => {
    const given = text(name)
    return given === undefined ? undefined : wholeNumber(command, `--${name}`, given, least)
  }
  const model = text('model')
  if (!model)
    throw new FoveaError(
      'argument',
      `fovea ${command}`,
      'which model? --model names a folder, a .gguf file or owner/name of the Hub',
    )
  const kinds: readonly DeviceKind[] = ['webgpu', 'wasm', 'interpret']
  const device = text('device')
  const format = text('cache-format')
  const window = count('window')
  const sinks = count('sinks', 0)
  if (sinks !== undefined && window === undefined)
    throw new FoveaError('argument', `fovea ${command}`, '--sinks goes with --window')
  const [threads, lookup, draft] = [count('threads'), count('lookup'), text('draft')]
  const wasm = { ...(threads !== undefined && { threads }), ...(values['wide-vectors'] && { wideVectors: true }) }
  const named = {
    contextLength: count('context', 2),
    maxSequences: count('sequences'),
    cacheTokens: count('cache-tokens'),
    pageSize: count('page-size'),
    chunkSize: count('chunk'),
  }
  const weights = text('weights')
  const adapters = values.adapter as readonly string[] | undefined
  const ignored = values['ignore-field'] as readonly string[] | undefined
  const options: EngineOptions = {
    ...(ignored !== undefined && { ignoreFields: ignored }),
    ...Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)),
    ...(device !== undefined && { device: oneOf(command, '--device', device, kinds) }),
    ...(Object.keys(wasm).length > 0 && { deviceOptions: { wasm } }),
    ...(weights !== undefined && { weights: oneOf(command, '--weights', weights, loadedWeights) }),
    ...(adapters !== undefined && { adapters }),
    ...(format !== undefined && {
      cacheFormat: oneOf(command, '--cache-format', format, ['f32', 'f16', 'bf16', 'q8', 'q4'] as const),
    }),
    ...(window !== undefined && { cachePolicy: { window, sinks: sinks ?? 0 } }),
    ...(lookup !== undefined && { promptLookup: { tokens: lookup } }),
    ...(draft !== undefined && {
      draftModel: { model: await resolveModel(draft), tokens: count('draft-tokens') ?? 4 },
    }),
  }
  return { model: await resolveModel(model), options }
}

/** Options of commands that draw tokens. */
export const samplingOptions = {
  'max-tokens': { type: 'string', short: 'n' },
  temperature: { type: 'string' },
  'top-k': { type: 'string' },
  'top-p': { type: 'string' },
  'min-p': { type: 'string' },
  'repetition-penalty': { type: 'string' },
  seed: { type: 'string' },
  stop: { type: 'string', multiple: true },
  'ignore-eos': { type: 'boolean', default: false },
} as const satisfies NonNullable<ParseArgsConfig['options']>

export const samplingHelp: readonly string[] = [
  '  -n, --max-tokens N  most tokens of the answer (256)',
  '  --temperature T     0 always takes the most likely token (0.8)',
  '  --top-k K  --top-p P  --min-p P  --repetition-penalty R  --seed S',
  '  --stop TEXT         ends the answer; may be given several times',
  '  --ignore-eos        go on after the end of the text',
]

/** The values that `parseCommand` gives for `samplingOptions`. */
export type SamplingValues = {
  readonly [Name in keyof typeof samplingOptions]?: string | boolean | string[] | undefined
}

/** How tokens are drawn; `checkSampling` has the last word on ranges. Throws `argument` for what is no number. */
export function readSampling(
  command: string,
  values: SamplingValues,
): { maxTokens: number; stop: readonly string[]; ignoreEos: boolean; sampling: SamplingOptions } {
  const number = (name: keyof SamplingValues) => {
    const given = values[name] as string | undefined
    if (given === undefined) return undefined
    const value = Number(given)
    if (given.trim() === '' || !Number.isFinite(value))
      throw new FoveaError('argument', `fovea ${command}`, `--${name} must be a number, got '${given}'`)
    return value
  }
  const named = {
    temperature: number('temperature') ?? 0.8,
    topK: number('top-k'),
    topP: number('top-p'),
    minP: number('min-p'),
    repetitionPenalty: number('repetition-penalty'),
    seed: number('seed'),
  }
  const most = values['max-tokens'] as string | undefined
  return {
    maxTokens: most === undefined ? 256 : wholeNumber(command, '--max-tokens', most),
    stop: (values.stop as string[] | undefined) ?? [],
    ignoreEos: values['ignore-eos'] === true,
    sampling: Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)),
  }
}
