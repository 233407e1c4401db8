import { FoveaError } from '../../tile/index.ts'
import { checkUnread } from '../architectures/check-unread.ts'
import { type ConfigFields, configFields, isRecord, shown } from '../architectures/config-fields.ts'
import { parseJson } from '../files/parse-json.ts'
import { type ModelFiles, readObject, readText } from '../model-files.ts'
import type { Pooling } from './encoder-spec.ts'

/** What a model's files say about making a vector of a text; null where they say nothing. */
export interface TextSettings {
  readonly pooling: Pooling | null
  /** is the vector divided by its length? */
  readonly normalize: boolean | null
  /** most tokens of a text */
  readonly maxTokens: number | null
  readonly lowerCase: boolean
  /** texts that go before a text, by the names of what it is for ("query", "document") */
  readonly prompts: ReadonlyMap<string, string>
  readonly defaultPrompt: string | null
}

export const noSettings: TextSettings = {
  pooling: null,
  normalize: null,
  maxTokens: null,
  lowerCase: false,
  prompts: new Map(),
  defaultPrompt: null,
}

/**
 * Reads what sentence-transformers keeps beside a model: modules.json (which steps follow the transformer), the
 * configuration of its pooling (1_Pooling/config.json), config_sentence_transformers.json (prompts) and
 * sentence_bert_config.json (the longest text). Reimers and Gurevych: Sentence-BERT, 2019, arXiv 1908.10084.
 *
 * Throws `format` naming file and field; `unsupported` for steps, poolings and settings that are not followed here (`ignored`:
 * those that are to be read past).
 */
export async function textSettings(files: ModelFiles, ignored: readonly string[] = []): Promise<TextSettings> {
  const modules = await readModules(files)
  const [prompts, limits] = [
    await fields(files, 'config_sentence_transformers.json'),
    await fields(files, 'sentence_bert_config.json'),
  ]
  const pooling = modules?.find(({ type }) => type === 'Pooling')
  const settings = {
    pooling: await readPooling(files, pooling?.path ?? '1_Pooling', pooling !== undefined, ignored),
    normalize: modules ? modules.some(({ type }) => type === 'Normalize') : null,
    maxTokens: limits?.has('max_seq_length') ? limits.size('max_seq_length') : null,
    lowerCase: limits?.flag('do_lower_case', false) ?? false,
    ...readPrompts(prompts),
  }
  if (prompts) checkUnread(prompts, 'sentence-transformers', promptsIdle, ignored)
  if (limits) checkUnread(limits, 'sentence-transformers', limitsIdle, ignored)
  return settings
}

/** who wrote a file, and how vectors are compared */
const promptsIdle = ['__version__', 'similarity_fn_name', 'model_type']
/** how the library of the files' writer opens the transformer */
const limitsIdle = ['transformer_task', 'modality_config', 'module_output_name', 'architecture', 'method_output_name']

interface Module {
  readonly type: string
  readonly path: string
}

const steps: readonly string[] = ['Transformer', 'Pooling', 'Normalize']

async function readModules(files: ModelFiles): Promise<readonly Module[] | null> {
  const name = 'modules.json'
  const text = await readText(files, name)
  if (text === null) return null
  const fault = (code: 'format' | 'unsupported', message: string) =>
    new FoveaError(code, 'openEmbedder', `${files.name}/${name}: ${message}`)
  let list: unknown
  try {
    list = parseJson(text)
  } catch (cause) {
    throw new FoveaError('format', 'openEmbedder', `${files.name}/${name} is no JSON: ${(cause as Error).message}`, {
      cause,
    })
  }
  if (!Array.isArray(list)) throw fault('format', `must be a list, got ${shown(list)}`)
  return list.map((entry: unknown, i): Module => {
    const { type, path = '' } = isRecord(entry) ? entry : {}
    if (typeof type !== 'string') throw fault('format', `[${i}].type must be a string, got ${shown(type)}`)
    if (typeof path !== 'string' || (path !== '' && !/^\w[\w.-]*$/.test(path)))
      throw fault('format', `[${i}].path must name a folder beside it, got ${shown(path)}`)
    const step = type.split('.').at(-1) ?? ''
    if (step === 'Transformer' && path !== '')
      throw fault(
        'unsupported',
        `[${i}].path is "${path}"; a model is read that lies beside the file: open that folder`,
      )
    if (!steps.includes(step))
      throw fault('unsupported', `[${i}].type is "${type}"; of its steps ${steps.join(', ')} are computed here`)
    return { type: step, path }
  })
}

/** Poolings by the names that configurations have for them, null for those that are not computed here. */
const poolings: Readonly<Record<string, Pooling | null>> = {
  cls_token: 'cls',
  mean_tokens: 'mean',
  lasttoken: 'last',
  max_tokens: null,
  mean_sqrt_len_tokens: null,
  weightedmean_tokens: null,
  cls: 'cls',
  mean: 'mean',
  max: null,
  weightedmean: null,
}

async function readPooling(
  files: ModelFiles,
  folder: string,
  needed: boolean,
  ignored: readonly string[],
): Promise<Pooling | null> {
  const name = `${folder}/config.json`
  const config = await fields(files, name)
  if (!config && needed)
    throw new FoveaError('format', 'openEmbedder', `${files.name}/modules.json names ${name}, which is missing`)
  if (!config) return null
  const flagged = Object.keys(poolings).filter((mode) => config.flag(`pooling_mode_${mode}`, false))
  const modes = config.has('pooling_mode') ? [config.text('pooling_mode')] : flagged
  const [mode] = modes
  const pooling = mode === undefined || !Object.hasOwn(poolings, mode) ? null : poolings[mode]
  const field = config.has('pooling_mode') ? 'pooling_mode' : 'pooling_mode_…'
  const known = 'the mean of all tokens, the first (cls) and the last token are computed here, one at a time'
  if (modes.length !== 1 || !pooling)
    throw new FoveaError(
      'unsupported',
      'openEmbedder',
      `${config.file}: ${field} says ${modes.join(' and ') || 'no pooling'}; ${known}`,
    )
  if (!config.flag('include_prompt', true))
    throw new FoveaError(
      'unsupported',
      'openEmbedder',
      `${config.file}: include_prompt is false; a pooling that leaves out the prompt's tokens is not computed here`,
    )
  checkUnread(config, 'sentence-transformers', ['word_embedding_dimension', 'embedding_dimension'], ignored)
  return pooling
}

function readPrompts(config: ConfigFields | null): Pick<TextSettings, 'prompts' | 'defaultPrompt'> {
  const section = config?.section('prompts')
  const prompts = new Map<string, string>()
  // sections list what nobody asked for: all of their fields, here
  for (const { name } of section?.unread() ?? []) prompts.set(name, section?.text(name, '') ?? '')
  const defaultPrompt = config?.has('default_prompt_name') ? config.text('default_prompt_name') : null
  if (config && defaultPrompt !== null && !prompts.has(defaultPrompt))
    throw config.fault('default_prompt_name', `is "${defaultPrompt}", which is none of its prompts`)
  return { prompts, defaultPrompt }
}

async function fields(files: ModelFiles, name: string): Promise<ConfigFields | null> {
  const values = await readObject(files, name)
  return values && configFields(`${files.name}/${name}`, values)
}
