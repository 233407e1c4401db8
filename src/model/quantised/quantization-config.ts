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

/** Floats of 8 bits with scales; `block`: rows and columns of the tiles that have one each, where they are in tiles. */
export interface PackedFloat8 {
  readonly kind: 'fp8'
  readonly block: readonly [number, number] | null
}

/** Fields that say how a model was quantised, and nothing of what its files hold. */
const idle: readonly string[] = [
  ...['desc_act', 'sym', 'damp_percent', 'damp_auto_increment', 'true_sequential', 'static_groups', 'dataset', 'meta'],
  ...['model_name_or_path', 'model_file_base_name', 'quantizer', 'tokenizer', 'block_name_to_quantize', 'batch_size'],
  ...['cache_block_outputs', 'exllama_config', 'use_exllama', 'use_cuda_fp16', 'model_seqlen', 'pad_token_id'],
  ...['max_input_length', 'module_name_preceding_first_block', 'modules_in_block_to_quantize', 'backend', 'do_fuse'],
  ...['fuse_max_seq_len', 'modules_to_fuse', 'modules_to_not_convert', 'lm_head', 'is_marlin_format', 'pack_dtype'],
]

/** of activations, which are not rounded here, and of what was quantised: the tensors say it */
const float8Idle: readonly string[] = ['activation_scheme', 'modules_to_not_convert', 'scale_fmt']
const compressedIdle: readonly string[] = [
  'config_groups',
  'global_compression_ratio',
  'ignore',
  'kv_cache_scheme',
  'quantization_status',
  'version',
]

/**
 * Reads `quantization_config`; null where there is none. Throws `unsupported` naming file, field and value for a method that
 * is not read (AWQ and GPTQ of 4 bits, fp8 and compressed-tensors of floats of 8 bits are), `format` for a field of the wrong kind.
 */
export function readQuantization(config: ConfigFields): PackedInt4 | PackedFloat8 | null {
  const fields = config.section('quantization_config')
  if (!fields || fields.isEmpty) return null
  const refuse = (field: string, value: unknown, what: string) =>
    new FoveaError(
      'unsupported',
      'openCheckpoint',
      `${fields.file}: quantization_config.${field} is ${shown(value)}, ${what}`,
    )
  const method = fields.text('quant_method')
  if (method === 'fp8') {
    for (const name of float8Idle) fields.has(name)
    const form = fields.text('fmt', 'e4m3')
    if (form !== 'e4m3' && form !== 'e5m2') throw refuse('fmt', form, 'which is not read; e4m3 and e5m2 are')
    const sizes = fields.has('weight_block_size') ? fields.numbers('weight_block_size', 2) : null
    return { kind: 'fp8', block: sizes && [sizes[0] ?? 0, sizes[1] ?? 0] }
  }
  if (method === 'compressed-tensors') {
    for (const name of compressedIdle) fields.has(name)
    const sparsity = fields.section('sparsity_config')
    for (const name of ['global_sparsity', 'ignore', 'registry_requires_subclass', 'sparsity_structure', 'targets'])
      sparsity?.has(name)
    const sparse = sparsity?.text('format', 'dense') ?? 'dense'
    if (sparse !== 'dense') throw refuse('sparsity_config.format', sparse, 'which is not read; dense is')
    const form = fields.text('format')
    if (form !== 'float-quantized' && form !== 'naive-quantized')
      throw refuse('format', form, 'which is not read; float-quantized and naive-quantized are')
    return { kind: 'fp8', block: [128, 128] }
  }
  if (method !== 'gptq' && method !== 'awq')
    throw refuse('quant_method', method, 'which is not read; gptq and awq of 4 bits, fp8 and compressed-tensors are')
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
