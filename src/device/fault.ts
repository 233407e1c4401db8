import type { ErrorCode } from '../ir/error.ts'

/** What went wrong, in words, before it is known which call will report it. */
export interface Fault {
  readonly code: ErrorCode
  readonly message: string
  readonly cause?: unknown
}

/** What an error says, whatever was thrown. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String((cause as { message?: unknown } | null)?.message ?? cause)
}
