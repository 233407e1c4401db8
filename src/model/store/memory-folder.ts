import { FoveaError } from '../../tile/index.ts'
import { blobSource } from '../files/byte-source.ts'
import type { FileRecord, StoreFolder, StorePart } from './store-folder.ts'

/** Bytes that are gathered before they become a Blob, which a browser may keep on its disk. */
const gathered = 4 * 2 ** 20

interface HeldFile {
  blobs: Blob[]
  record: FileRecord
}

/** Keeps files as Blobs for as long as somebody holds them: where nothing can be stored, or nothing is to be. */
export function memoryFolder(): StoreFolder {
  const whole = new Map<string, HeldFile>()
  const parts = new Map<string, HeldFile>()
  const texts = new Map<string, string>()
  return {
    name: 'memory',
    kind: 'memory',
    async open(path) {
      const file = whole.get(path)
      return file ? blobSource(new Blob(file.blobs), path) : null
    },
    record: async (path) => whole.get(path)?.record ?? null,
    part: async (path) => memoryPart(path, parts, whole),
    readText: async (path) => texts.get(path) ?? null,
    writeText: async (path, text) => void texts.set(path, text),
    entries: async () =>
      [...whole, ...parts].map(([path, { blobs }]) => ({ path, bytes: sizeOf(blobs), modified: Date.now() })),
    async remove(path) {
      for (const map of [whole, parts, texts])
        for (const key of map.keys()) if (key === path || key.startsWith(`${path}/`)) map.delete(key)
    },
    free: async () => null,
    // nobody else knows of it
    lock: (_name, _signal, body) => body(),
  }
}

function memoryPart(path: string, parts: Map<string, HeldFile>, whole: Map<string, HeldFile>): StorePart {
  let file = parts.get(path)
  let pending: Uint8Array<ArrayBuffer>[] = []
  let pendingBytes = 0
  const flush = () => {
    if (pendingBytes > 0) file?.blobs.push(new Blob(pending))
    pending = []
    pendingBytes = 0
  }
  return {
    get record() {
      return file?.record ?? null
    },
    get bytes() {
      return sizeOf(file?.blobs ?? []) + pendingBytes
    },
    async source() {
      flush()
      return blobSource(new Blob(file?.blobs ?? []), path)
    },
    async start(record) {
      pending = []
      pendingBytes = 0
      file = { blobs: [], record }
      parts.set(path, file)
    },
    async write(bytes) {
      pending.push(bytes as Uint8Array<ArrayBuffer>)
      pendingBytes += bytes.byteLength
      if (pendingBytes >= gathered) flush()
    },
    close: async () => flush(),
    async finish(record) {
      flush()
      if (!file) throw new FoveaError('io', 'download', `${path}: there is no part to finish`)
      whole.set(path, { blobs: file.blobs, record })
      parts.delete(path)
    },
  }
}

const sizeOf = (blobs: readonly Blob[]) => blobs.reduce((sum, { size }) => sum + size, 0)
