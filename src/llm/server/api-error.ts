import { FoveaError } from '../../tile/index.ts'

/** What the API says of an error: https://platform.openai.com/docs/guides/error-codes */
export interface ApiErrorDetail {
  readonly message: string
  readonly type: string
  /** path of the field of the request that is at fault: `messages[0].content` */
  readonly param: string | null
  readonly code: string | null
}

/** An error as a client of the API receives it: a status, a body and perhaps headers. */
export class ApiError extends Error {
  readonly status: number
  readonly detail: ApiErrorDetail
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, detail: Partial<ApiErrorDetail> & { message: string }, headers = {}) {
    super(detail.message)
    this.name = 'ApiError'
    this.status = status
    this.detail = { type: errorType(status), param: null, code: null, ...detail }
    this.headers = headers
  }

  /** the body of the response, and of an event that ends a stream */
  get body(): { error: ApiErrorDetail } {
    return { error: this.detail }
  }

  response(): Response {
    return Response.json(this.body, { status: this.status, headers: this.headers })
  }
}

/** 400 for a field of the request. */
export function invalidField(param: string, message: string, code = 'invalid_value'): ApiError {
  return new ApiError(400, { message, param, code })
}

/** 400 for a prompt, or a prompt and its answer, beyond the context. */
export function contextExceeded(param: string, message: string): ApiError {
  return invalidField(param, message, 'context_length_exceeded')
}

/** 429; the official client waits for as long as it says, and tries again. */
export function tooBusy(message: string, retryAfterSeconds: number): ApiError {
  const headers = { 'retry-after': String(Math.min(60, Math.max(1, Math.ceil(retryAfterSeconds)))) }
  return new ApiError(429, { message, type: 'rate_limit_error', code: 'queue_full' }, headers)
}

/** 503, with which every request is refused once the server is shutting down. */
export function shuttingDown(): ApiError {
  return new ApiError(503, { message: 'the server is shutting down', code: 'shutting_down' }, { connection: 'close' })
}

/** Nobody reads the answer any more; the status is what logs and metrics show. */
export function clientGone(): ApiError {
  return new ApiError(499, { message: 'the client closed the connection', code: 'client_closed' })
}

/**
 * What an error means to a client. Prompts beyond the context are refused before they reach the engine, so that
 * `capacity` is a full queue. Errors that are not fovea's own stay inside: the client learns that there was one.
 */
export function toApiError(error: unknown, retryAfterSeconds: () => number = () => 1): ApiError {
  if (error instanceof ApiError) return error
  if (!(error instanceof FoveaError)) return new ApiError(500, { message: 'internal error', code: 'internal_error' })
  const { message, code } = error
  switch (code) {
    case 'argument':
    case 'unsupported':
      return new ApiError(400, { message, code: 'invalid_value' })
    case 'capacity':
      return tooBusy(message, retryAfterSeconds())
    case 'disposed':
      return shuttingDown()
    case 'cancelled':
      return clientGone()
    default:
      return new ApiError(500, { message, code })
  }
}

function errorType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}
