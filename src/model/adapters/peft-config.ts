import { FoveaError } from '../../tile/index.ts'
import { isRecord, shown } from '../architectures/config-fields.ts'
import { isNeutral } from '../architectures/harmless-fields.ts'

/** What of an adapter_config.json decides how its tensors are used. */
export interface PeftConfig {
  readonly rank: number
  readonly alpha: number
  readonly rankStabilised: boolean
}

/** Fields of PEFT's LoraConfig that change nothing of what an adapter computes once it is trained, by the reason why. */
const harmless: ReadonlySet<string> = new Set([
  // they say what it was made for, and by which program
  ...['task_type', 'auto_mapping', 'base_model_name_or_path', 'revision', 'peft_version', 'inference_mode'],
  // which layers have adapters: the tensors say it, and one of a layer that is not here is refused
  ...['target_modules', 'exclude_modules', 'layers_to_transform', 'layers_pattern'],
  // of training alone
  ...['lora_dropout', 'runtime_config', 'ephemeral_gpu_offload', 'velora_config'],
  // how the base stores its matrices, which its own files say
  'fan_in_fan_out',
  // settings of what `init_lora_weights`, `use_qalora`, `modules_to_save` and `trainable_token_indices` switch on
  ...['loftq_config', 'eva_config', 'corda_config', 'lora_ga_config', 'qalora_group_size', 'ensure_weight_tying'],
  ...['megatron_core'],
])

/** Ways to begin that leave the base as it is; the others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) take out of it what they put into A and B. */
const plainBeginnings: readonly unknown[] = [true, false, 'gaussian', 'eva', 'orthogonal']

/**
 * Reads the fields of an adapter_config.json. All that PEFT 0.21 has are known: those that change what is computed are
 * refused unless they say nothing, and so is whatever is not known, but what the caller wants `ignored`.
 *
 * Throws `format` (rank, alpha, use_rslora of the wrong kind) and `unsupported` (a setting that is not computed here), naming
 * file, field and value.
 */
export function readPeftConfig(path: string, config: unknown, ignored: readonly string[] = []): PeftConfig {
  const fault = (code: 'format' | 'unsupported', message: string) =>
    new FoveaError(code, 'loadPeft', `${path}: ${message}`)
  if (!isRecord(config)) throw fault('format', 'is no JSON object')
  const { peft_type: kind, r, lora_alpha: alpha, use_rslora, init_lora_weights, rank_pattern, alpha_pattern } = config
  const rest = { ...config, peft_type: null, r: null, lora_alpha: null, use_rslora: null, init_lora_weights: null }
  if (kind !== 'LORA') throw fault('unsupported', `peft_type is ${shown(kind)}, not LORA`)
  if (!Number.isSafeInteger(r) || (r as number) < 1) throw fault('format', `r must be a whole number, got ${shown(r)}`)
  if (typeof alpha !== 'number' || !(alpha > 0 && Number.isFinite(alpha)))
    throw fault('format', `lora_alpha must be a number above 0, got ${shown(alpha)}`)
  if (typeof (use_rslora ?? false) !== 'boolean')
    throw fault('format', `use_rslora must be true or false, got ${shown(use_rslora)}`)

  // patterns that say the same for every layer
  const only = (pattern: unknown, value: unknown) =>
    isRecord(pattern) && Object.values(pattern).every((x) => x === value)
  const checked: Record<string, unknown> = {
    ...rest,
    ...(only(rank_pattern, r) && { rank_pattern: null }),
    ...(only(alpha_pattern, alpha) && { alpha_pattern: null }),
    ...(!plainBeginnings.includes(init_lora_weights ?? true) && { init_lora_weights }),
  }
  for (const [field, value] of Object.entries(checked)) {
    if (ignored.includes(field) || harmless.has(field) || saysNothing(field, value)) continue
    const because =
      field === 'init_lora_weights'
        ? 'which takes out of the base what the adapter begins with: give the base as it was left, or an adapter that PEFT has converted'
        : 'which is not computed here'
    throw fault('unsupported', `${field} is ${shown(value)}, ${because}; ignoreFields: ['${field}'] reads past it`)
  }
  return { rank: r as number, alpha, rankStabilised: use_rslora === true }
}

/** Lists of tokens, layers and modules say something whatever is in them: token 0 is one. */
function saysNothing(field: string, value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (isRecord(value)) return Object.keys(value).length === 0
  return field === 'init_lora_weights' ? value === null : isNeutral(value)
}
