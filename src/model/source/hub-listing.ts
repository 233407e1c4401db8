import { FoveaError } from '../../tile/index.ts'
import { refused, unreachable } from '../store/download-file.ts'

/** A model on the Hub, and how to reach it. */
export interface HubAccess {
  readonly id: string
  readonly revision: string
  readonly token?: string | undefined
  /** "https://huggingface.co", or another server of the same interface */
  readonly hubUrl?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface HubFile {
  readonly path: string
  readonly size: number
  /** identifies the content */
  readonly oid: string
  /** of the content, for files that the Hub keeps outside git */
  readonly sha256: string | null
}

/** most pages of a list, of 1,000 files each: more are of no model */
const mostPages = 50

/**
 * The files of a model, as the Hub's interface lists them (GET /api/models/ID/tree/REVISION, page by page). Throws `io` (not
 * reachable, no such model, one that asks for a token), `format` (an answer that is no list).
 */
export async function hubListing(access: HubAccess): Promise<readonly HubFile[]> {
  const { id, revision, signal } = access
  const name = `hf:${id}`
  const files: HubFile[] = []
  let url: string | null = `${hubBase(access)}/api/models/${id}/tree/${encodeURIComponent(revision)}?recursive=true`
  for (let page = 0; url !== null && page < mostPages; page++) {
    const answer: Response = await fetch(url, { headers: hubHeaders(access), ...(signal && { signal }) }).catch(
      (cause: unknown) => {
        signal?.throwIfAborted()
        throw unreachable(name, cause)
      },
    )
    if (answer.status === 404)
      throw new FoveaError('io', 'downloadModel', `${id}: there is no such model or revision on the Hub (${revision})`)
    if (!answer.ok) throw refused(name, answer.status)
    const list: unknown = await answer.json().catch(() => null)
    if (!Array.isArray(list))
      throw new FoveaError('format', 'downloadModel', `${name}: ${new URL(url).origin} answered no list of files`)
    for (const entry of list) files.push(...fileOf(entry))
    url = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null
  }
  return files
}

/** A name that leads out of the folder is of no model. */
function fileOf(entry: unknown): HubFile[] {
  const { type, path, size, oid, lfs } = entry as {
    type?: string
    path?: string
    size?: number
    oid?: string
    lfs?: { oid?: string; size?: number }
  }
  if (type !== 'file' || typeof path !== 'string' || path.split('/').includes('..') || path.startsWith('/')) return []
  const bytes = lfs?.size ?? size
  if (!Number.isSafeInteger(bytes)) return []
  return [{ path, size: bytes as number, oid: lfs?.oid ?? oid ?? '', sha256: lfs?.oid ?? null }]
}

export const hubBase = ({ hubUrl }: HubAccess) => (hubUrl ?? 'https://huggingface.co').replace(/\/+$/, '')

export function hubHeaders({ token }: HubAccess): Readonly<Record<string, string>> {
  return token ? { authorization: `Bearer ${token}` } : {}
}

/** Where the Hub gives a file's content. */
export function hubFileUrl(access: HubAccess, path: string): string {
  const parts = [encodeURIComponent(access.revision), ...path.split('/').map(encodeURIComponent)]
  return `${hubBase(access)}/${access.id}/resolve/${parts.join('/')}`
}
