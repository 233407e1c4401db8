import { FoveaError } from '../../tile/index.ts'

/** A text that says where a model is, taken apart. */
export type ModelPlace =
  | { readonly kind: 'hub'; readonly id: string; readonly revision: string | null; readonly file: string | null }
  | { readonly kind: 'url'; readonly url: URL }
  | { readonly kind: 'path'; readonly path: string }

/**
 * `hf:owner/name`, `hf:owner/name@revision`, `hf:owner/name/file.gguf`; a URL of http(s), blob or data; in Node everything
 * else is a path (also a file URL), in a page an address relative to it. Throws `argument` for an hf: name that is none.
 */
export function modelPlace(text: string | URL): ModelPlace {
  const given = String(text)
  if (given.startsWith('hf:')) return hubPlace(given)
  if (/^(https?|blob|data|file):/i.test(given)) return { kind: 'url', url: urlOf(given) }
  const base = (globalThis as { document?: { baseURI: string } }).document?.baseURI ?? globalThis.location?.href
  if (base !== undefined) return { kind: 'url', url: urlOf(given, base) }
  return { kind: 'path', path: given }
}

function hubPlace(given: string): ModelPlace {
  const [, id, revision = null, file = null] = /^hf:([^/@]+\/[^/@]+)(?:@([^/]+))?(?:\/(.+))?$/.exec(given) ?? []
  if (id === undefined || !isHubId(id))
    throw new FoveaError(
      'argument',
      'openCheckpoint',
      `a model of the Hub is written hf:owner/name, hf:owner/name@revision or hf:owner/name/file.gguf, got "${given}"`,
    )
  return { kind: 'hub', id, revision, file }
}

/** owner/name, of letters, digits, dots, dashes and underscores */
export function isHubId(id: string): boolean {
  return /^[\w.-]+\/[\w.-]+$/.test(id) && !/(^|\/)\.\.?($|\/)/.test(id)
}

function urlOf(given: string, base?: string): URL {
  try {
    return new URL(given, base)
  } catch (cause) {
    throw new FoveaError('argument', 'openCheckpoint', `"${given}" is no address of a model`, { cause })
  }
}

/** The name that a model is stored by: the same for every way of writing it. */
export function modelNameOf(text: string | URL): string {
  const place = modelPlace(text)
  if (place.kind === 'hub') return hubName(place.id, place.revision ?? 'main')
  if (place.kind === 'path') return place.path
  const { url } = place
  url.hash = ''
  return url.href.replace(/\/$/, '')
}

export const hubName = (id: string, revision: string) => `hf:${id}@${revision}`

/** "books-recall-16m" of "https://host/models/books-recall-16m.gguf?download=true" or "hf:owner/books-recall-16m@main". */
export function shortName(source: string): string {
  const hub = /^hf:[^/]+\/([^/@]+)(?:@[^/]*)?$/.exec(source)
  if (hub?.[1]) return hub[1]
  const bare = /^https?:/i.test(source) ? source.replace(/[?#].*$/, '') : source
  const last = bare.split(/[/\\]/).findLast((part) => part !== '') ?? source
  return last.replace(/\.gguf$/, '')
}
