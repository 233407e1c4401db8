import type { Tokenizer } from '../../model/tokenizer.ts'
import type { TokenLogprob } from '../generation.ts'

export interface NamedLogprob {
  readonly token: string
  readonly logprob: number
  readonly bytes: readonly number[]
}

/**
 * A log-probability as the API writes it: bytes that make no whole characters are spelled out (`bytes:\xe2\x80`), and
 * −9999 stands for −∞, which JSON does not have.
 */
export function nameLogprob(tokenizer: Tokenizer, { token, logprob }: TokenLogprob): NamedLogprob {
  const { text, bytes } = tokenizer.piece(token)
  const spelled = () => `bytes:${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
  return { token: isText(bytes) ? text : spelled(), logprob: Math.max(-9999, logprob), bytes: [...bytes] }
}

/** U+FFFD may be a character of the token like any other. */
function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
