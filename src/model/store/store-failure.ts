import { FoveaError } from '../../tile/index.ts'

/**
 * What a file system says, as a typed error: `capacity` when there is no room (with what was to be written and what is
 * left, where that is known), else `io`.
 */
export async function storeFailure(
  store: string,
  path: string,
  cause: unknown,
  wanted: number | null,
  free: () => Promise<number | null>,
): Promise<FoveaError> {
  if (cause instanceof FoveaError) return cause
  const { name, code, message } = (cause ?? {}) as { name?: string; code?: string; message?: string }
  if (name === 'QuotaExceededError' || code === 'ENOSPC' || code === 'EDQUOT')
    return noRoom(store, path, wanted, await free().catch(() => null), cause)
  return new FoveaError('io', 'modelStore', `${store}: ${path}: ${message || name || String(cause)}`, { cause })
}

/** The error of a file that does not fit. */
export function noRoom(
  store: string,
  path: string,
  wanted: number | null,
  free: number | null,
  cause?: unknown,
): FoveaError {
  const needs = wanted === null ? 'more bytes' : `${wanted} bytes`
  // browsers do not tell all that is left, so that nobody is known by it
  const told = free !== null && free < (wanted ?? 0)
  const left = told ? `has ${free} left` : 'takes no more'
  return new FoveaError(
    'capacity',
    'modelStore',
    `${path} needs ${needs}, ${store} ${left}; removeModel makes room, store: false keeps nothing`,
    { cause },
  )
}
