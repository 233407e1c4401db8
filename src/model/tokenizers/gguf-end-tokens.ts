/** Texts of tokens that end an answer, by which llama.cpp knows them whatever a file's metadata says. */
const endTexts: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|flush|>',
  '<|calls|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '</s>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '[EOS]',
  '<|end_of_text|>',
  '<end_of_utterance>',
  '<eos>',
  '<｜end▁of▁sentence｜>',
  '[e~[',
])

/**
 * The control tokens of a vocabulary that end an answer by their name, as llama.cpp finds them: files name one in
 * `eos_token_id`, which often is not the one that ends a turn. Where turns may end by `<|return|>` and `<|call|>` (or
 * `<|calls|>` and `<|flush|>`), as gpt-oss's do, `<|end|>` only ends a part of them.
 *
 * llama.cpp takes a token of such a name that is no control token for one; here it stays the text that it is.
 */
export function ggufEndTokens(tokens: readonly string[], isControl: (id: number) => boolean): readonly number[] {
  const found = new Map<string, number>()
  for (const [id, token] of tokens.entries()) if (endTexts.has(token) && isControl(id)) found.set(token, id)
  const has = (token: string) => found.has(token)
  const calls = has('<|call|>') || has('<|calls|>')
  if (calls && (has('<|return|>') || has('<|flush|>'))) found.delete('<|end|>')
  return [...found.values()]
}
