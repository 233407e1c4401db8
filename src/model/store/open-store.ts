import { FoveaError } from '../../tile/index.ts'
import { defaultCacheFolder, diskFolder, hasDisk } from './disk-folder.ts'
import { memoryFolder } from './memory-folder.ts'
import { opfsFolder } from './opfs-folder.ts'
import { canWriteSegments } from './opfs-segment.ts'
import type { StoreFolder } from './store-folder.ts'
import type { StoreOptions } from './store-options.ts'

/** folder of the Origin Private File System that is ours */
const opfsRoot = 'fovea-models'

/** The store that is asked for, or the best at hand. Throws `unsupported` for one that is asked for and not there. */
export async function openStore(where: string, { store, cacheFolder }: StoreOptions): Promise<StoreFolder> {
  if (store !== undefined && store !== false && store !== 'opfs' && store !== 'folder')
    throw new FoveaError('argument', where, `store is 'opfs', 'folder' or false, got ${JSON.stringify(store)}`)
  if (store === false) return memoryFolder()
  if (store === 'folder' || (store === undefined && hasDisk)) return diskFolder(cacheFolder ?? defaultCacheFolder())
  const opened = await openOpfs()
  if ('folder' in opened) return opened.folder
  if (store === undefined && where !== 'listModels' && where !== 'removeModel') return memoryFolder()
  throw new FoveaError('unsupported', where, `nothing can be stored: ${opened.reason}`)
}

/** Not on pages without TLS, not in some private windows, not written by pages of Safari before 26. */
async function openOpfs(): Promise<{ readonly folder: StoreFolder } | { readonly reason: string }> {
  if (typeof navigator === 'undefined' || !navigator.storage?.getDirectory)
    return {
      reason: 'there is no Origin Private File System here (a page must be served with TLS, or by this machine)',
    }
  if (!canWriteSegments()) return { reason: 'this browser writes the Origin Private File System in workers only' }
  try {
    const root = await navigator.storage.getDirectory()
    return { folder: opfsFolder(await root.getDirectoryHandle(opfsRoot, { create: true })) }
  } catch (cause) {
    return { reason: `the browser refuses its Origin Private File System (${(cause as Error).message})` }
  }
}
