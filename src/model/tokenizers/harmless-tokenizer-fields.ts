/**
 * Fields of tokenizer_config.json and special_tokens_map.json that change no token and no text where there is a
 * tokenizer.json, whatever they say. By the reason why.
 */
const groups: readonly { readonly because: string; readonly names: string }[] = [
  {
    because: 'they say which programs and classes the files are for',
    names: `processor_class auto_map backend name_or_path _name_or_path _commit_hash transformers_version tokenizer_type
      tokenizer_file vocab_file merges_file special_tokens_map_file tokenizer_config_file added_tokens_file files_loaded
      is_local local_files_only use_fast from_slow trust_remote_code cache_dir revision init_inputs verbose
      unsloth_version unsloth_fixed image_processor_type feature_extractor_type`,
  },
  {
    because: 'they lay texts out in batches and cut them; here a text is encoded alone and never cut',
    names: `model_max_length max_len max_length max_seq_len padding padding_side pad_to_multiple_of pad_token_type_id
      truncation truncation_side truncation_strategy stride model_input_names return_token_type_ids`,
  },
  {
    because: 'they are of tokenizers that are made without a tokenizer.json',
    names: `legacy legacy_behaviour sp_model_kwargs spaces_between_special_tokens errors keep_accents remove_space
      add_dummy_prefix_space do_basic_tokenize never_split trim_offsets`,
  },
  {
    because: 'transformers reads them no more',
    names: 'use_default_system_prompt use_default_prompt',
  },
  {
    because: 'they tell how an answer is taken apart',
    names: 'response_template response_schema tool_parser_type',
  },
]

const harmless: ReadonlySet<string> = new Set(groups.flatMap(({ names }) => names.split(/\s+/)))

/** May the field be read past? */
export function isHarmlessForTokens(name: string): boolean {
  return harmless.has(name)
}
