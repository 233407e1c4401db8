import { FoveaError } from '../../tile/index.ts'

/** Throws `argument` for what is no range of bytes, `io` for one that a file of `size` bytes does not have. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0)
    throw new FoveaError('argument', 'read', `${name}: no range of bytes: ${length} at ${offset}`)
  if (offset + length > size)
    throw new FoveaError('io', 'read', `${name} has ${size} bytes: there are no ${length} at ${offset}`)
}

/** A file gave fewer bytes than it has. */
export function cutShort(name: string, offset: number, length: number, got: number): FoveaError {
  return new FoveaError('io', 'read', `${name} was cut short: ${got} of ${length} bytes at ${offset}`)
}

/** Throws `io` with the system's reason. */
export function readFailed(where: string, name: string, cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause)
  throw new FoveaError('io', where, `${name}: ${reason}`, { cause })
}
