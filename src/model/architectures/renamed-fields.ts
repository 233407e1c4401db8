import type { ConfigFields } from './config-fields.ts'

/** A configuration whose sizes have other names: a field of ours is asked for by the name that `names` has for it. */
export function renamedFields(config: ConfigFields, names: Readonly<Record<string, string>>): ConfigFields {
  const named = (name: string) => names[name] ?? name
  return {
    ...config,
    has: (name) => config.has(named(name)),
    isZero: (name) => config.isZero(named(name)),
    states: (name) => config.states(named(name)),
    size: (name, fallback) => config.size(named(name), fallback),
    token: (name) => config.token(named(name)),
    positive: (name, fallback) => config.positive(named(name), fallback),
    flag: (name, fallback) => config.flag(named(name), fallback),
    text: (name, fallback) => config.text(named(name), fallback),
    list: (name) => config.list(named(name)),
    numbers: (name, length) => config.numbers(named(name), length),
    section: (name) => config.section(named(name)),
    fault: (name, message) => config.fault(named(name), message),
  }
}

/** The names that GPT-2 gave sizes, for those that are called otherwise since Llama. */
export const gptNames: Readonly<Record<string, string>> = {
  hidden_size: 'n_embd',
  num_hidden_layers: 'n_layer',
  num_attention_heads: 'n_head',
  max_position_embeddings: 'n_positions',
}
