import { restorePrefix, savePrefix } from '../cache/saved-prefix.ts'
import { openFile } from '../model/files/open-file.ts'
import { writeAside } from '../model/files/write-aside.ts'
import type { LocalEngine } from './local-engine.ts'

/**
 * Writes keys and values of a prefix that the engine has computed, in whole pages, to a file that replaces an old one only
 * when it is whole. Gives how many tokens and bytes that were. Node only. Rejects with `argument` when the cache does not
 * hold them (any more), `io` naming the file.
 */
export async function savePrefixFile(
  engine: LocalEngine,
  tokens: readonly number[],
  path: string,
): Promise<{ tokens: number; bytes: number }> {
  const { cache, checkpoint } = engine
  let saved = { tokens: 0, bytes: 0 }
  await writeAside(path, async (sink) => {
    saved = await savePrefix(cache, tokens, sink, { model: checkpoint.fingerprint })
  })
  return saved
}

/**
 * Puts a saved prefix into the engine's cache, where requests that begin with its tokens find it; gives these tokens. Node
 * only. Rejects with `format` (another model or cache format, a damaged file), `capacity` (more pages than the cache
 * has), `io`.
 */
export async function restorePrefixFile(engine: LocalEngine, path: string): Promise<Int32Array> {
  const source = await openFile(path)
  try {
    return await restorePrefix(engine.cache, source, { model: engine.checkpoint.fingerprint })
  } finally {
    await source.close()
  }
}
