/** What kind of mistake or failure an error reports; stable, for programs to test. */
export type ErrorCode =
  | 'shape' // shapes that do not fit together
  | 'dtype' // a dtype that is not accepted there
  | 'argument' // a value out of its range, or of the wrong kind
  | 'unsupported' // a valid request that this back end or adapter cannot run
  | 'limit' // beyond a limit of the device, said before anything is allocated
  | 'disposed' // a tensor or device that was already disposed
  | 'device' // a tensor of another device, no such device, a lost device
  | 'compile' // a back end rejected a program
  | 'memory' // out of memory
  | 'format' // a file whose content is not what it must be
  | 'io' // a file or host that could not be read or written
  | 'capacity' // more than a context, a cache or a queue holds, said with the numbers
  | 'cancelled' // given up because the caller asked for it

/**
 * The one error class of fovea. The message starts with the name of the public function that was called
 * and prints what it received: `attention: key has 3 heads ...`.
 */
export class FoveaError extends Error {
  readonly code: ErrorCode
  /** name of the public function that rejected its input */
  readonly where: string

  constructor(code: ErrorCode, where: string, message: string, options?: { cause?: unknown }) {
    super(`${where}: ${message}`, options)
    this.name = 'FoveaError'
    this.code = code
    this.where = where
  }
}
