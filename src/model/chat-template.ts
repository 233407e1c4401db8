import { FoveaError } from '../tile/index.ts'
import { parseTemplate } from './templates/parse-template.ts'
import { type RenderedTemplate, renderTemplate } from './templates/render-template.ts'
import type { Body } from './templates/template-nodes.ts'
import type { ChatMessage } from './tokenizer.ts'

/** What a template may name besides messages. */
export interface ChatVariables {
  readonly bosToken: string | null
  readonly eosToken: string | null
  readonly addGenerationPrompt: boolean
  /** other tokens by the names that the model's files have for them, such as `pad_token` */
  readonly namedTokens?: Readonly<Record<string, string>>
  /** `tools`, `documents` and whatever else a template asks for, such as `enable_thinking` */
  readonly arguments?: Readonly<Record<string, unknown>>
  /** the time that a template is told (now) */
  readonly now?: Date
}

/** Renders a conversation; `source` is the template's text. */
export interface ChatTemplate {
  (messages: readonly ChatMessage[], variables: ChatVariables): string
  /** the same, with the parts that came from messages and arguments */
  readonly render: (messages: readonly ChatMessage[], variables: ChatVariables) => RenderedTemplate
  readonly source: string
}

const where = 'applyChatTemplate'
/** what has a place of its own in a call */
const taken = ['messages', 'add_generation_prompt']

/**
 * A chat template (Jinja, as models bring it), parsed when first used, and rendered as Hugging Face transformers does:
 * `tools` and `documents` are none where there are none, every field of a message is there, white space around blocks is
 * trimmed. Rendering takes a bounded number of steps, so that no file can keep its caller waiting.
 *
 * Throws `format` naming the file when it cannot be parsed, `argument` with what the template says when it refuses a
 * conversation (many refuse a system message, or two messages of the same role in a row) or does not end.
 */
export function chatTemplate(file: string, source: string): ChatTemplate {
  let parsed: Body | undefined
  const render = (messages: readonly ChatMessage[], variables: ChatVariables): RenderedTemplate => {
    const { bosToken, eosToken, addGenerationPrompt, now } = variables
    const named = variables.arguments ?? {}
    for (const name of taken)
      if (Object.hasOwn(named, name))
        throw new FoveaError('argument', where, `the template's argument ${name} is given by the call itself`)
    parsed ??= parse(file, source)
    try {
      return renderTemplate(parsed, {
        trusted: {
          ...variables.namedTokens,
          bos_token: bosToken ?? '',
          eos_token: eosToken ?? '',
          add_generation_prompt: addGenerationPrompt,
        },
        given: { tools: null, documents: null, ...named, messages },
        now: () => now ?? new Date(),
      })
    } catch (cause) {
      throw new FoveaError('argument', where, `${file}: ${(cause as Error).message.slice(0, 1000)}`, { cause })
    }
  }
  const text = (messages: readonly ChatMessage[], variables: ChatVariables) => render(messages, variables).text
  return Object.assign(text, { render, source })
}

function parse(file: string, source: string): Body {
  try {
    return parseTemplate(source)
  } catch (cause) {
    throw new FoveaError('format', where, `${file} is no chat template: ${(cause as Error).message.slice(0, 1000)}`, {
      cause,
    })
  }
}
