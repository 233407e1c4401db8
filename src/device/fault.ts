import { type ErrorCode, FoveaError } from '../ir/error.ts'

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

/** An error under the name of the public function that was called; one that is none of ours becomes `device`. */
export function restate(where: string, cause: unknown, subject: string | null = null): FoveaError {
  const ours = cause instanceof FoveaError ? cause : null
  const message = ours ? ours.message.slice(ours.where.length + 2) : messageOf(cause)
  return new FoveaError(ours?.code ?? 'device', where, subject === null ? message : `${subject}: ${message}`, { cause })
}

/** `work`, whose errors are restated under the name of the public function, about `subject`. */
export function underName<T>(where: string, subject: string | null, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw restate(where, cause, subject)
  }
}
