import type { Tokenizer } from '../../model/tokenizer.ts'
import type { GenerationEvent } from '../generation.ts'
import type { AnswerForm } from './answer.ts'
import { answerId } from './answer-id.ts'
import { nameLogprob } from './token-logprob.ts'

/** Objects of `/v1/chat/completions`. */
export function chatForm(model: string, tokenizer: Tokenizer): AnswerForm {
  const logprobs = (events: readonly GenerationEvent[]) => {
    const content = events.flatMap(({ logprob }) =>
      logprob
        ? [
            {
              ...nameLogprob(tokenizer, logprob),
              top_logprobs: logprob.top.map((each) => nameLogprob(tokenizer, each)),
            },
          ]
        : [],
    )
    return content.length > 0 ? { content, refusal: null } : null
  }
  const piece = (index: number, delta: object, finishReason: string | null, events: readonly GenerationEvent[]) => ({
    index,
    delta,
    logprobs: logprobs(events),
    finish_reason: finishReason,
  })
  return {
    head: { id: answerId('chatcmpl-'), created: Math.floor(Date.now() / 1000), model },
    object: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    opening: (choice) => piece(choice, { role: 'assistant', content: '' }, null, []),
    piece: (choice, text, events) => piece(choice, { content: text }, null, events),
    closing: (choice, finishReason) => piece(choice, {}, finishReason, []),
    whole: (choice, text, events, finishReason) => ({
      index: choice,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: logprobs(events),
      finish_reason: finishReason,
    }),
  }
}
