import type { Checkpoint } from '../../model/checkpoint.ts'
import type { ByteSource } from '../../model/files/byte-source.ts'
import { modelPlace } from '../../model/source/model-name.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import { FoveaError } from '../../tile/index.ts'
import { isCheckpoint } from '../open-parts.ts'
import type { RemoteSource, SourceMessage } from './engine-messages.ts'

/** Sources of bytes of this thread that a worker reads, by number. */
export interface LentSources {
  /** The source as it crosses. Throws `argument` for a Checkpoint, which belongs to the thread that opened it. */
  lend(source: ModelSource | Checkpoint): SourceMessage
  /** Throws what the source throws. */
  read(index: number, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>
  close(index: number): Promise<void>
  closeAll(): Promise<void>
}

export function lendSources(where: string): LentSources {
  const lent: ByteSource[] = []
  const lendOne = (source: ByteSource): RemoteSource => {
    lent.push(source)
    return { index: lent.length - 1, name: source.name, size: source.size }
  }
  return {
    lend(source) {
      if (typeof source === 'string' || source instanceof URL) {
        const place = modelPlace(source)
        // an address is relative to the page, not to the script of the worker
        return { kind: 'cloned', source: place.kind === 'url' ? place.url.href : String(source) }
      }
      if (isCheckpoint(source))
        throw new FoveaError('argument', where, 'a Checkpoint stays in its thread; give what it was opened from')
      if (isByteSource(source)) return { kind: 'source', source: lendOne(source) }
      if (isRecordOfSources(source)) {
        const entries = Object.entries(source).map(([name, each]) => [name, lendOne(each)] as const)
        return { kind: 'sources', sources: Object.fromEntries(entries) }
      }
      return { kind: 'cloned', source }
    },
    async read(index, offset, length) {
      // a copy, which can be handed over: what a source gives may be part of its memory
      return new Uint8Array(await (lent[index] as ByteSource).read(offset, length))
    },
    close: async (index) => lent[index]?.close(),
    async closeAll() {
      for (const source of lent) await source.close().catch(() => {})
    },
  }
}

const isByteSource = (source: object): source is ByteSource => typeof (source as ByteSource).read === 'function'

function isRecordOfSources(source: object): source is Readonly<Record<string, ByteSource>> {
  const values = Object.getPrototypeOf(source) === Object.prototype ? Object.values(source) : []
  return (
    values.length > 0 && values.every((value) => typeof value === 'object' && value !== null && isByteSource(value))
  )
}
