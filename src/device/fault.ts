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

/** `work`, its errors under the name of the public function that was called. */
export function underName<T>(where: string, program: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!(cause instanceof FoveaError)) throw cause
    const message = cause.message.slice(cause.where.length + 2)
    throw new FoveaError(cause.code, where, `${program}: ${message}`, { cause })
  }
}
