import { FoveaError } from '../../tile/index.ts'
import type { ConfigFields } from '../architectures/config-fields.ts'
import { shown } from '../files/shown.ts'

/** How a folder's matrices are packed, as its `quantization_config` says. */
export interface PackedInt4 {
  readonly kind: 'gptq' | 'awq'
  /** neighbouring inputs with one scale; null: all */
  readonly group: number | null
  /** added to the zeros that are stored: the first form of GPTQ's files keeps them one too small */
  readonly zeroOffset: 0 | 1
}

/** Fields that say how a model was quantised, and nothing of what its files hold. */
const idle: readonly string[] = [
  ...['desc_act', 'sym', 'damp_percent', 'damp_auto_increment', 'true_sequential', 'static_groups', 'dataset', 'meta'],
  ...['model_name_or_path', 'model_file_base_name', 'quantizer', 'tokenizer', 'block_name_to_quantize', 'batch_size'],
  ...['cache_block_outputs', 'exllama_config', 'use_exllama', 'use_cuda_fp16', 'model_seqlen', 'pad_token_id'],
  ...['max_input_length', 'module_name_preceding_first_block', 'modules_in_block_to_quantize', 'backend', 'do_fuse'],
  ...['fuse_max_seq_len', 'modules_to_fuse', 'modules_to_not_convert', 'lm_head', 'is_marlin_format', 'pack_dtype'],
]

/**
 * Reads `quantization_config`; null where there is none. Throws `unsupported` naming file, field and value for a method that
 * is not read (AWQ and GPTQ of 4 bits are), `format` for a field of the wrong kind.
 */
export function readQuantization(config: ConfigFields): PackedInt4 | null {
  const fields = config.section('quantization_config')
  if (!fields || fields.isEmpty) return null
  const refuse = (field: string, value: unknown, what: string) =>
    new FoveaError(
      'unsupported',
      'openCheckpoint',
      `${fields.file}: quantization_config.${field} is ${shown(value)}, ${what}`,
    )
  const method = fields.text('quant_method')
  if (method !== 'gptq' && method !== 'awq')
    throw refuse('quant_method', method, 'which is not read; gptq and awq of 4 bits are')
  const bits = fields.has('bits') ? fields.size('bits') : fields.size('w_bit', 4)
  if (bits !== 4) throw refuse('bits', bits, 'which is not read; 4 are')
  const groupField = fields.has('group_size') ? 'group_size' : 'q_group_size'
  const group = fields.token(groupField)
  const form = method === 'gptq' ? fields.text('checkpoint_format', 'gptq') : fields.text('version', 'gemm')
  const forms = method === 'gptq' ? ['gptq', 'gptq_v2'] : ['gemm', 'GEMM']
  if (!forms.includes(form))
    throw refuse(
      method === 'gptq' ? 'checkpoint_format' : 'version',
      form,
      `which is not read; ${forms.join(', ')} are`,
    )
  if (method === 'awq' && !fields.flag('zero_point', true)) throw refuse('zero_point', false, 'which is not read')
  for (const name of idle) fields.has(name)
  return { kind: method, group, zeroOffset: form === 'gptq' ? 1 : 0 }
}
