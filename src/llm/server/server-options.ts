import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'

/** What one client, or all together, may ask for. Durations in milliseconds. */
export interface ServerLimits {
  /** bytes of a request's body (4 times promptCharacters, at least 1 MiB) */
  readonly bodyBytes: number
  /** characters of one prompt, said before it is encoded (16 for each token of the context) */
  readonly promptCharacters: number
  /** prompts of a request times its n (16) */
  readonly choices: number
  /** requests being read, waiting or being answered; more get 429 (128) */
  readonly requests: number
  /** open connections; more are closed at once (1,024) */
  readonly connections: number
  /** until the headers of a request are there (10 s) */
  readonly headersMs: number
  /** until the whole request is there (60 s) */
  readonly bodyMs: number
  /** until it is answered (10 min) */
  readonly answerMs: number
  /** that a client may leave what is sent to it unread (60 s) */
  readonly stallMs: number
}

/** One line of a log: a request that is answered, or whose client has gone (499). */
export interface RequestEntry {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly milliseconds: number
}

/** Defaults in parentheses. */
export interface ServerOptions {
  /** address to bind (127.0.0.1) */
  readonly host?: string
  /** 0 for any free port (8080) */
  readonly port?: number
  /** what clients must send as `Authorization: Bearer …`; /health needs none (no key) */
  readonly apiKey?: string
  /** origins of web pages that may use this server, or '*'; other pages get 403 (none) */
  readonly allowedOrigins?: readonly string[]
  /**
   * names besides those of loopback to which a server on loopback without a key answers, or '*'; others get 403 (none). A
   * proxy that passes on the Host of its clients needs its name here.
   */
  readonly allowedHosts?: readonly string[]
  readonly limits?: Partial<ServerLimits>
  /** called at the end of each request */
  readonly onRequest?: (entry: RequestEntry) => void
  /** called with errors that are not a client's fault (console.error) */
  readonly onError?: (error: unknown) => void
}

/** Limits with their defaults. Throws `argument` for what is no whole number above 0. */
export function serverLimits(where: string, given: Partial<ServerLimits>, contextLength: number): ServerLimits {
  checkFields(where, 'limits', given, limitFields)
  const promptCharacters = given.promptCharacters ?? 16 * contextLength
  const defaults: ServerLimits = {
    bodyBytes: Math.max(1024 * 1024, 4 * promptCharacters),
    promptCharacters,
    choices: 16,
    requests: 128,
    connections: 1024,
    headersMs: 10_000,
    bodyMs: 60_000,
    answerMs: 600_000,
    stallMs: 60_000,
  }
  const limits = { ...defaults, ...given }
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new FoveaError('argument', where, `limits.${name} must be a whole number above 0, got ${value}`)
  }
  return limits
}

const limitFields: FieldsOf<ServerLimits> = {
  bodyBytes: true,
  promptCharacters: true,
  choices: true,
  requests: true,
  connections: true,
  headersMs: true,
  bodyMs: true,
  answerMs: true,
  stallMs: true,
}
