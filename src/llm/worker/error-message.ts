import { type ErrorCode, FoveaError } from '../../tile/index.ts'

/** An error as it crosses from one thread to another: of a class of ours, structured cloning keeps no more than the text. */
export interface ErrorMessage {
  /** null for what is no FoveaError */
  readonly code: ErrorCode | null
  readonly where: string
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly cause: ErrorMessage | null
}

/** causes of causes that are told */
const deepest = 4

export function errorMessage(error: unknown, depth = 0): ErrorMessage {
  const { name = 'Error', message = String(error), stack, cause } = (error ?? {}) as Partial<Error>
  const own = error instanceof FoveaError ? error : null
  const where = own?.where ?? ''
  return {
    code: own?.code ?? null,
    where,
    name,
    message: own && message.startsWith(`${where}: `) ? message.slice(where.length + 2) : message,
    stack,
    cause: cause === undefined || depth === deepest ? null : errorMessage(cause, depth + 1),
  }
}

/** The error again: a FoveaError with its code and where, else an Error of the same name. */
export function errorOf(told: ErrorMessage): Error {
  const { code, where, name, message, stack } = told
  const options = told.cause ? { cause: errorOf(told.cause) } : {}
  const error = code === null ? new Error(message, options) : new FoveaError(code, where, message, options)
  if (code === null) error.name = name
  // where it happened, in the worker, says more than where it arrived
  if (stack !== undefined) error.stack = stack
  return error
}
