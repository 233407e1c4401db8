import { Template } from '@huggingface/jinja'
import { FoveaError } from '../tile/index.ts'
import type { ChatMessage } from './tokenizer.ts'

/** What a template may name besides messages. */
export interface ChatVariables {
  readonly bosToken: string | null
  readonly eosToken: string | null
  readonly addGenerationPrompt: boolean
}

/** Renders a conversation; `source` is the template's text. */
export interface ChatTemplate {
  (messages: readonly ChatMessage[], variables: ChatVariables): string
  readonly source: string
}

/**
 * A chat template (Jinja, as models bring it), parsed when first used.
 *
 * Throws `format` naming the file when it cannot be parsed, `argument` with what the template says when it refuses a
 * conversation (many refuse a system message, or two messages of the same role in a row).
 */
export function chatTemplate(file: string, source: string): ChatTemplate {
  let parsed: Template | undefined
  const render = (messages: readonly ChatMessage[], variables: ChatVariables) => {
    const { bosToken, eosToken, addGenerationPrompt } = variables
    parsed ??= parse(file, source)
    try {
      return parsed.render({
        messages: messages.map(({ role, content }) => ({ role, content })),
        bos_token: bosToken ?? '',
        eos_token: eosToken ?? '',
        add_generation_prompt: addGenerationPrompt,
      })
    } catch (cause) {
      throw new FoveaError('argument', 'applyChatTemplate', `${file}: ${(cause as Error).message}`, { cause })
    }
  }
  return Object.assign(render, { source })
}

function parse(file: string, source: string): Template {
  try {
    return new Template(source)
  } catch (cause) {
    const reason = (cause as Error).message
    throw new FoveaError('format', 'applyChatTemplate', `${file} is no chat template: ${reason}`, { cause })
  }
}
