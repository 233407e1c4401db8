import { type HostArray, storedArray } from '../device/host-data.ts'
import type { Tensor } from '../device/index.ts'
import { type StorageDType, storageBytes } from '../tile/index.ts'
import type { KvPages } from './kv-pages.ts'

/** What a page has in one kind of tensor of one layer, as bytes: its keys, its values, or its scales. */
export interface PagePlane {
  readonly layer: number
  readonly kind: 'keys' | 'values' | 'scales'
  readonly dtype: StorageDType
  readonly bytesPerPage: number
  /** segments of whole pages: the page is the first dimension, and each page is one stretch of memory */
  readonly tensors: readonly Tensor[]
  readonly pagesPerSegment: number
}

/** Pages that are not asked for are read along, up to so many in a row, where that saves a read. */
const joined = 8

export function pagePlanes(pools: readonly KvPages[]): PagePlane[] {
  return pools.flatMap((pool, layer) =>
    (['keys', 'values', 'scales'] as const).flatMap((kind) => {
      const tensors = pool[kind]
      const [first] = tensors
      if (!first) return []
      const elements = first.shape.slice(1).reduce((a, b) => a * b, 1)
      const { dtype } = first
      const bytesPerPage = elements * storageBytes[dtype]
      return [{ layer, kind, dtype, bytesPerPage, tensors, pagesPerSegment: pool.pagesPerSegment }]
    }),
  )
}

/** The bytes of pages, one after the other in the order given. */
export async function readPlane(plane: PagePlane, pages: readonly number[]): Promise<Uint8Array> {
  const { bytesPerPage: width, pagesPerSegment } = plane
  const spans = spansOf(plane, pages, joined)
  const parts = await Promise.all(spans.map((span) => withSpan(span, (tensor) => tensor.readBytes())))
  const [only, first] = [spans[0], parts[0]]
  if (spans.length === 1 && only && first && only.count === only.to - only.from) return first
  const bytes = new Uint8Array(pages.length * width)
  let at = 0
  spans.forEach(({ from, count }, i) => {
    for (const end = at + count; at < end; at++) {
      const place = ((pages[at] as number) % pagesPerSegment) - from
      bytes.set((parts[i] as Uint8Array).subarray(place * width, (place + 1) * width), at * width)
    }
  })
  return bytes
}

/** Writes what `readPlane` gave; few writes where pages follow one another. The bytes may be changed afterwards. */
export function writePlane(plane: PagePlane, pages: readonly number[], bytes: Uint8Array): void {
  const { bytesPerPage: width, dtype } = plane
  let at = 0
  for (const span of spansOf(plane, pages, 0)) {
    const part = bytes.subarray(at * width, (at + span.count) * width)
    withSpan(span, (tensor) =>
      tensor.write(
        storedArray(dtype, part.buffer, part.byteOffset, part.byteLength / storageBytes[dtype]) as HostArray,
      ),
    )
    at += span.count
  }
}

/** Pages from … to − 1 of a segment, of which `count` are asked for. */
interface Span {
  readonly segment: Tensor
  readonly from: number
  to: number
  count: number
}

/** Stretches of ascending pages of one segment with at most `gap` others between two of them. */
function spansOf({ tensors, pagesPerSegment }: PagePlane, pages: readonly number[], gap: number): Span[] {
  const spans: Span[] = []
  for (const page of pages) {
    const segment = tensors[Math.floor(page / pagesPerSegment)] as Tensor
    const place = page % pagesPerSegment
    const last = spans.at(-1)
    if (last && last.segment === segment && place >= last.to && place <= last.to + gap) {
      last.to = place + 1
      last.count++
    } else spans.push({ segment, from: place, to: place + 1, count: 1 })
  }
  return spans
}

/** The pages of a span in the order of their memory, whatever that is within a page. */
function withSpan<T>({ segment, from, to }: Span, use: (part: Tensor) => T): T {
  const elements = segment.size / (segment.shape[0] as number)
  const part = segment.view({ shape: [to - from, elements], offset: segment.offset + from * elements })
  try {
    return use(part)
  } finally {
    part.dispose()
  }
}
