import type { Tokenizer } from '../../model/tokenizer.ts'
import type { GenerationEvent } from '../generation.ts'
import { TextStream } from '../text-stream.ts'
import type { AnswerForm } from './answer.ts'
import { answerId } from './answer-id.ts'
import { nameLogprob } from './token-logprob.ts'

/**
 * Objects of `/v1/completions`. `prompts` are those of the choices; `echoes` the texts with which choices begin, none when
 * empty. Offsets count UTF-16 units of the text; a token inside a character is where the character begins.
 */
export function completionForm(
  model: string,
  tokenizer: Tokenizer,
  prompts: readonly (readonly number[])[],
  echoes: readonly string[],
): AnswerForm {
  // where the next token of a choice begins in its text, and the text that the tokens so far complete
  const offsets: number[] = []
  const streams: TextStream[] = []
  const logprobs = (choice: number, events: readonly GenerationEvent[]) => {
    if (events.length === 0) return null
    const lists = { text_offset: [] as number[], token_logprobs: [] as number[], tokens: [] as string[] }
    const top: Record<string, number>[] = []
    for (const { logprob } of events) {
      if (!logprob) continue
      const offset = offsets[choice] ?? echoes[choice]?.length ?? 0
      streams[choice] ??= new TextStream(tokenizer, prompts[choice] ?? [])
      offsets[choice] = offset + streams[choice].push(logprob.token).length
      lists.text_offset.push(offset)
      const named = nameLogprob(tokenizer, logprob)
      lists.token_logprobs.push(named.logprob)
      lists.tokens.push(named.token)
      const others = logprob.top.map((each) => nameLogprob(tokenizer, each))
      top.push(Object.fromEntries(others.map((each) => [each.token, each.logprob])))
    }
    return { ...lists, top_logprobs: top.some((each) => Object.keys(each).length > 0) ? top : null }
  }
  const piece = (index: number, text: string, finishReason: string | null, events: readonly GenerationEvent[]) => ({
    index,
    text,
    logprobs: logprobs(index, events),
    finish_reason: finishReason,
  })
  return {
    head: { id: answerId('cmpl-'), created: Math.floor(Date.now() / 1000), model },
    object: 'text_completion',
    chunkObject: 'text_completion',
    opening: (choice) => (echoes[choice] ? piece(choice, echoes[choice], null, []) : null),
    piece: (choice, text, events) => piece(choice, text, null, events),
    closing: (choice, finishReason) => piece(choice, '', finishReason, []),
    whole: (choice, text, events, finishReason) => piece(choice, (echoes[choice] ?? '') + text, finishReason, events),
  }
}
