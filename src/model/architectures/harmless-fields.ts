/**
 * Fields of config.json that change nothing of what a decoder computes, whatever they say, for any architecture: those of
 * transformers' PreTrainedConfig and what well-known programs leave behind. By the reason why; where a field is one that an
 * architecture has for itself (GPT-2's `n_ctx`), it is in the architecture's `idle`.
 */
const groups: readonly { readonly because: string; readonly names: string }[] = [
  {
    because: 'they say who wrote the file, and for which classes',
    names: `_name_or_path name_or_path _commit_hash transformers_version architectures auto_map model_type tokenizer_class
      processor_class custom_pipelines transformers.js_config unsloth_version unsloth_fixed unsloth_tiled_mlp
      is_llama_config license author language datasets model_name base_model finetuned_from axolotl_config_path`,
  },
  {
    because: 'they say what the weights were stored or loaded as; tensors say it themselves',
    names: 'torch_dtype dtype use_bfloat16 bf16 fp16 fp32 params_dtype torchscript',
  },
  {
    because: 'they are of training alone (names that end in dropout, pdrop or dropout_prob too)',
    names: `initializer_range initializer_factor init_std gradient_checkpointing use_gradient_checkpointing
      neftune_noise_alpha router_aux_loss_coef router_z_loss_coef load_balance_coeff z_loss_coefficient loss_type label_smoothing tf_legacy_loss embd_initializer_range rescale_prenorm`,
  },
  {
    because: 'they choose code that computes the same',
    names: `use_cache attn_implementation _attn_implementation _attn_implementation_autoset _attn_implementation_internal
      _experts_implementation _flash_attn_2_enabled use_flash_attn use_flash_attention use_flash_attention_2 flash_attention
      flash_attn use_sdpa attention_implementation cache_implementation pretraining_tp reorder_and_upcast_attn
      chunk_size_feed_forward use_fused_rms_norm fused_rms_norm use_liger_kernel torch_compile is_composition
      fused_bias_fc fused_mlp fused_dropout_add_ln output_hidden_states output_attentions output_router_logits return_dict
      use_return_dict is_decoder tie_encoder_decoder _fsdp_wrapped_module`,
  },
  {
    because: 'they are of heads for other tasks',
    names: `id2label label2id num_labels _num_labels problem_type finetuning_task task_specific_params summary_type
      summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout classifier_activation`,
  },
  {
    because: 'they name tokens that no decoder looks at; the tokenizer has its own',
    names: `pad_token_id sep_token_id unk_token_id cls_token_id mask_token_id decoder_start_token_id bos_token eos_token
      pad_token unk_token prefix ignore_index`,
  },
  {
    because: 'they set lengths of tokenizers and trainers; positions are those of max_position_embeddings',
    names: 'max_sequence_length model_max_length max_seq_len max_seq_length seq_length seq_len',
  },
  {
    because: 'they are defaults of generation, which transformers takes out of configurations too',
    names: `max_length min_length max_new_tokens min_new_tokens do_sample early_stopping num_beams num_beam_groups
      diversity_penalty temperature top_k top_p min_p typical_p epsilon_cutoff eta_cutoff repetition_penalty
      length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size encoder_repetition_penalty bad_words_ids
      num_return_sequences output_scores output_logits return_dict_in_generate forced_bos_token_id forced_eos_token_id
      remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens guidance_scale
      renormalize_logits penalty_alpha max_time stop_strings sequence_bias token_healing generation_config`,
  },
]

const harmless: ReadonlySet<string> = new Set(groups.flatMap(({ names }) => names.split(/\s+/)))

/**
 * Settings of rotary positions that some types have: one that the type at hand does not have is read past by transformers
 * (with a warning), and so it is here. Elsewhere only those of before there was one object for them.
 */
const ropeSettings: ReadonlySet<string> = new Set(
  `rope_type type rope_theta partial_rotary_factor factor original_max_position_embeddings attention_factor beta_fast
    beta_slow mscale mscale_all_dim truncate short_factor long_factor low_freq_factor high_freq_factor finetuned`.split(
    /\s+/,
  ),
)
const outsideRope: ReadonlySet<string> = new Set(['rope_theta', 'partial_rotary_factor', 'rope_parameters'])

/** May the field of this path be read past? */
export function isHarmless(name: string, path: string): boolean {
  if (/(^|\.)rope_(scaling|parameters)\./.test(path)) return ropeSettings.has(name)
  return harmless.has(name) || outsideRope.has(name) || /(dropout|pdrop|dropout_prob)$/.test(name)
}

/** Does a value say "none", "as usual" or "not at all"? Then a field that nobody knows asks for nothing. */
export function isNeutral(value: unknown): boolean {
  if (value === null || value === false || value === 0 || value === 1) return true
  // no setting is NaN or Infinity
  if (typeof value === 'number') return !Number.isFinite(value)
  if (typeof value === 'string')
    return ['', 'none', 'default', 'null', 'false', 'nan', 'infinity'].includes(value.toLowerCase())
  return typeof value === 'object' && Object.values(value).every(isNeutral)
}
