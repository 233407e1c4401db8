import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../device/index.ts'
import { FoveaError } from '../tile/index.ts'
import type { CachedSequence } from './cached-sequence.ts'
import { PageCache, type PageCacheSpec, pageCacheBytes } from './page-cache.ts'

const device: Device = await openDevice('wasm')
afterAll(() => device.dispose())

const pageSize = 4
const spec: PageCacheSpec = {
  layers: [
    { numKvHeads: 1, headDim: 4 },
    { numKvHeads: 2, headDim: 4, valueDim: 2 },
    { numKvHeads: 1, headDim: 2, valueDim: 6 },
  ],
  format: 'f32',
  pages: 24,
  rows: 5,
  pageSize,
  maxPages: 12,
}

/** What stands for the key and value of a token: it depends on all tokens before it, and fits f32 exactly. */
function prints(tokens: ArrayLike<number>): number[] {
  let hash = 1
  return Array.from({ length: tokens.length }, (_, i) => {
    hash = (Math.imul(hash ^ (tokens[i] as number), 0x01000193) ^ (hash >>> 15)) >>> 0
    return hash & 0x3fffff
  })
}

/** Writes the prints of a sequence's tokens from … to − 1 into every pool, as a step's kernels would. */
function write(cache: PageCache, sequence: CachedSequence, tokens: ArrayLike<number>, from: number): void {
  const slots = sequence.slots(from, tokens.length)
  const values = prints(tokens)
  cache.flush()
  for (const [layer, { keys, values: valuePool }] of cache.pools.entries())
    for (const [side, tensor] of [keys[0], valuePool[0]].entries())
      for (const [i, slot] of slots.entries()) {
        const page = tensor?.slice(0, Math.floor(slot / pageSize), Math.floor(slot / pageSize) + 1)
        const place = page?.slice(1, slot % pageSize, (slot % pageSize) + 1)
        place?.write(new Float32Array(place.size).fill((values[from + i] as number) + layer + side / 2))
        place?.dispose()
        page?.dispose()
      }
}

/** Reads the page table and the pools on the device, and compares what each sequence finds with what it must. */
async function compare(cache: PageCache, sequences: readonly Tracked[]) {
  cache.flush()
  const table = await cache.pageTable.read()
  const maxPages = cache.pageTable.shape[1] as number
  const pools = await Promise.all(
    cache.pools.map(async ({ keys, values }) => [await keys[0]?.read(), await values[0]?.read()] as const),
  )
  const faults: unknown[] = []
  for (const { sequence, tokens } of sequences) {
    const { pages } = sequence
    for (const [token, print] of prints(tokens).entries()) {
      const index = Math.floor(token / pageSize)
      const page = table[sequence.row * maxPages + index] as number
      if (pages[index] !== page) faults.push({ index, page, expected: pages[index] })
      if (page < 0) continue
      for (const [layer, sides] of pools.entries()) {
        const { numKvHeads = 0, headDim = 0, valueDim = 0 } = cache.pools[layer] ?? {}
        for (const [side, data] of sides.entries()) {
          const width = numKvHeads * (side === 0 ? headDim : valueDim)
          const first = (page * pageSize + (token % pageSize)) * width
          for (const at of [first, first + width - 1]) {
            const expected = print + layer + side / 2
            if (data?.[at] !== expected) faults.push({ token, page, layer, side, got: data?.[at], expected })
          }
        }
      }
    }
  }
  expect(faults).toEqual([])
}

/**
 * Every page is free, cached or held, and held as often as tables name it; a page with room that is reserved has one holder;
 * a page is left behind where the policy says so, and nowhere else; full pages are found.
 */
function audit(cache: PageCache, { rows, policy, share }: PageCacheSpec, sequences: readonly Tracked[]): void {
  const holders = new Map<number, number>()
  for (const { sequence } of sequences)
    for (const page of sequence.pages) if (page >= 0) holders.set(page, (holders.get(page) ?? 0) + 1)
  const { used, cached, free, total } = cache.stats()
  expect([used, used + cached + free]).toEqual([holders.size, total])
  expect([cache.stats().sequences, cache.freeRows]).toEqual([sequences.length, rows - sequences.length])
  const { window = Number.POSITIVE_INFINITY, sinks = 0 } = policy ?? {}
  const faults: unknown[] = []
  for (const { sequence, tokens } of sequences) {
    const { length, reserved, pages } = sequence
    for (let token = length; token < reserved; token++) {
      const page = pages[Math.floor(token / pageSize)] as number
      if (holders.get(page) !== 1) faults.push({ token, page, holders: holders.get(page) })
    }
    // the next query, at position `length`, sees this many keys before it
    const isNeeded = (token: number) => token < sinks || token > length - window
    for (const [index, page] of pages.entries()) {
      const needed = Array.from({ length: pageSize }, (_, i) => index * pageSize + i).some(isNeeded)
      if (page >= 0 !== needed) faults.push({ index, page, needed })
    }
    const full = length - (length % pageSize)
    if (share !== false && !policy && cache.find([...tokens, 0]) < full) faults.push({ full, missing: tokens })
  }
  expect(faults).toEqual([])
}

interface Tracked {
  readonly sequence: CachedSequence
  tokens: number[]
}

const at = fc.nat(99)
const tokens = fc.array(fc.nat(1), { maxLength: 20, size: 'max' })
const share = fc.nat(20).map((n) => n / 20)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('open' as const), tokens }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), at, tokens, more: fc.nat(3) }) },
  // goes back and on from there
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rewrite' as const), at, tokens, share }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reserve' as const), at, count: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('adopt' as const), at, tokens }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fork' as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), at, share }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('close' as const), at, keep: fc.boolean() }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function take(cache: PageCache, op: Step, open: Tracked[]): void {
  if (op.kind === 'open') {
    if (op.tokens.length === 0) return
    const found = cache.find(op.tokens)
    const sequence = cache.open(op.tokens)
    expect(sequence.length).toBe(found)
    expect(found).toBeLessThan(op.tokens.length)
    open.push({ sequence, tokens: op.tokens.slice(0, found) })
    return
  }
  const tracked = open[op.at % open.length]
  if (!tracked) return
  const { sequence } = tracked
  const truncate = (part: number) => {
    const length = Math.floor(part * tracked.tokens.length)
    sequence.truncate(length)
    tracked.tokens = tracked.tokens.slice(0, length)
  }
  const append = (added: readonly number[], more: number) => {
    sequence.reserve(added.length + more)
    const next = [...tracked.tokens, ...added]
    write(cache, sequence, next, tracked.tokens.length)
    sequence.append(added)
    tracked.tokens = next
  }
  if (op.kind === 'append') append(op.tokens, op.more)
  else if (op.kind === 'rewrite') {
    truncate(op.share)
    append(op.tokens, 0)
  } else if (op.kind === 'reserve') sequence.reserve(op.count)
  else if (op.kind === 'adopt') {
    const count = sequence.adopt(op.tokens)
    expect(count === 0 || count < op.tokens.length).toBe(true)
    tracked.tokens = [...tracked.tokens, ...op.tokens.slice(0, count)]
  } else if (op.kind === 'fork') open.push({ sequence: sequence.fork(), tokens: [...tracked.tokens] })
  else if (op.kind === 'truncate') truncate(op.share)
  else {
    sequence.close({ keep: op.keep })
    open.splice(open.indexOf(tracked), 1)
  }
}

/** Takes steps on a cache and checks after each that nothing leaks, and at the end, or always, what all sequences find. */
async function run(wanted: PageCacheSpec, steps: readonly Step[], always: boolean): Promise<void> {
  const cache = new PageCache(device, wanted)
  try {
    const open: Tracked[] = []
    for (const [i, op] of steps.entries()) {
      const state = () => [
        cache.stats(),
        open.map(({ sequence }) => [sequence.length, sequence.reserved, sequence.pages]),
      ]
      const before = state()
      try {
        take(cache, op, open)
      } catch (error) {
        const refused = error instanceof FoveaError && (error.code === 'capacity' || /needs page/.test(error.message))
        if (!refused) throw error
        // what is refused changes nothing
        if (op.kind !== 'rewrite') expect(state()).toEqual(before)
      }
      for (const { sequence, tokens } of open) expect([...sequence.tokens]).toEqual(tokens)
      audit(cache, wanted, open)
      if (always || i % 20 === 0) await compare(cache, open)
    }
    await compare(cache, open)
    for (const { sequence } of open) sequence.close()
    audit(cache, wanted, [])
    cache.clear()
    const { pages } = wanted
    expect(cache.stats()).toEqual({ total: pages, used: 0, cached: 0, free: pages, sequences: 0 })
  } finally {
    cache.dispose()
  }
}

const steps = fc.array(step, { minLength: 20, maxLength: 80, size: 'max' })
const policy = fc.record({ window: fc.integer({ min: 1, max: 12 }), sinks: fc.nat(6) })

describe('a page cache under random use: each slot holds what was written for its token', () => {
  const held = device.memory.allocated
  const property = <T>(changes: fc.Arbitrary<T>, numRuns: number) =>
    fc.assert(
      fc.asyncProperty(
        changes,
        steps,
        fc.nat(9).map((n) => n === 0),
        (change, list, always) => run({ ...spec, ...change }, list, always),
      ),
      { numRuns },
    )
  it('all kept and shared', () => property(fc.record({ pages: fc.integer({ min: 6, max: 30 }) }), 40))
  it('nothing shared', () => property(fc.constant({ share: false }), 20))
  it('windows and sinks', () => property(fc.record({ policy, pages: fc.integer({ min: 6, max: 30 }) }), 60))
  it('no memory is left', () => expect(device.memory.allocated).toBe(held))
})

describe('a page cache', () => {
  it('says its bytes beforehand', () => {
    for (const format of ['f32', 'f16', 'q8', 'q4'] as const) {
      const before = device.memory.allocated
      const sizes = { ...spec, format, layers: [{ numKvHeads: 2, headDim: 64 }], pageSize: 16, maxPages: 16, rows: 4 }
      const cache = new PageCache(device, sizes)
      expect(cache.bytes).toBe(pageCacheBytes(sizes))
      expect(device.memory.allocated - before).toBe(cache.bytes)
      cache.dispose()
      cache.dispose()
      expect(device.memory.allocated).toBe(before)
    }
  })

  it('shares the pages of a running sequence, and keeps those of an ended one', () => {
    const cache = new PageCache(device, spec)
    const tokens = Array.from({ length: 18 }, (_, i) => i)
    const first = cache.open(tokens)
    expect([first.length, first.cachedTokens]).toEqual([0, 0])
    first.reserve(18)
    first.append(tokens)
    // one token is left to compute even where all are known
    expect(cache.find(tokens.slice(0, 16))).toBe(12)
    const second = cache.open(tokens.slice(0, 17))
    expect([second.length, second.cachedTokens]).toEqual([16, 16])
    expect(second.pages).toEqual(first.pages.slice(0, 4))
    expect(cache.stats()).toMatchObject({ used: 5, cached: 0, sequences: 2 })
    first.close()
    second.close()
    expect(cache.stats()).toMatchObject({ used: 0, cached: 4, free: 20 })
    expect(cache.find(tokens)).toBe(16)
    first.close()
    expect(() => first.append([1])).toThrow('sequence.append: the sequence was closed')
    cache.dispose()
    expect(second.closed).toBe(true)
    expect(() => cache.open(tokens)).toThrow('the page cache was disposed')
  })

  it('lets one of two that compute the same go on with the pages of the other', () => {
    const cache = new PageCache(device, spec)
    const tokens = Array.from({ length: 14 }, (_, i) => i)
    const [a, b] = [cache.open(tokens), cache.open(tokens)]
    a.reserve(4)
    b.reserve(10)
    a.append(tokens.slice(0, 4))
    b.append(tokens.slice(0, 6))
    expect(b.pages[0]).toBe(a.pages[0])
    expect(a.adopt(tokens.slice(4))).toBe(0)
    b.append(tokens.slice(6, 10))
    expect(a.adopt(tokens.slice(4))).toBe(4)
    expect([a.length, a.cachedTokens]).toEqual([8, 4])
    expect(a.pages).toEqual(b.pages.slice(0, 2))
    cache.dispose()
  })

  it('goes back into a page that has others below by a copy, into one that is its own in place', async () => {
    const cache = new PageCache(device, spec)
    const tokens = Array.from({ length: 12 }, (_, i) => i)
    const a = cache.open(tokens)
    const go = (next: readonly number[]) => {
      const from = a.length
      a.reserve(next.length - from)
      write(cache, a, next, from)
      a.append(next.slice(from))
    }
    go(tokens)
    const before = a.pages
    a.truncate(6)
    expect(a.pagesFor(2)).toBe(1)
    const other = [0, 1, 2, 3, 4, 5, 70, 71, 80]
    go(other)
    expect(a.pages[0]).toBe(before[0])
    expect(a.pages[1]).not.toBe(before[1])
    expect(cache.find([...tokens, 0])).toBe(12)
    expect(cache.find(other)).toBe(8)
    const [middle] = a.pages.slice(1)
    a.truncate(7)
    expect(a.pagesFor(1)).toBe(0)
    go([0, 1, 2, 3, 4, 5, 70, 99])
    expect(a.pages[1]).toBe(middle)
    expect(cache.find(other)).toBe(4)
    expect(cache.find([0, 1, 2, 3, 4, 5, 70, 99, 0])).toBe(8)
    const b = cache.open([...tokens, 0])
    await compare(cache, [
      { sequence: a, tokens: [0, 1, 2, 3, 4, 5, 70, 99] },
      { sequence: b, tokens },
    ])
    cache.dispose()
  })

  it('keeps what is pinned', () => {
    const cache = new PageCache(device, { ...spec, pages: 4 })
    const first = cache.open([1])
    first.reserve(8)
    first.append([1, 2, 3, 4, 5, 6, 7, 8])
    first.close()
    const pinned = cache.pin([1, 2, 3, 4, 9, 9])
    expect(pinned.length).toBe(4)
    const other = cache.open([7])
    expect(() => other.reserve(16)).toThrow(
      'sequence.reserve: needs 4 more pages of 4 tokens; of 4 pages 1 are used, 1 cached and 2 free',
    )
    expect(cache.stats()).toMatchObject({ used: 1, cached: 1, free: 2 })
    other.reserve(12)
    expect(cache.find([1, 2, 3, 4, 5, 6, 7, 8, 9])).toBe(4)
    pinned.release()
    pinned.release()
    other.reserve(16)
    expect(cache.stats()).toMatchObject({ used: 4, cached: 0 })
    cache.dispose()
  })

  it('tells from where on a row has its newest tokens unquantised', () => {
    const cache = new PageCache(device, { ...spec, format: 'q8', recentTokens: 8 })
    const a = cache.open([1])
    expect(a.recentFrom(5)).toBe(0)
    a.reserve(20)
    a.slots(0, 20)
    a.append(new Array(15).fill(3))
    // five were written in vain, over older ones
    expect([a.recentFrom(0), a.recentFrom(5), a.recentFrom(7)]).toEqual([12, 12, 14])
    const b = a.fork()
    expect(b.recentFrom(3)).toBe(15)
    a.truncate(13)
    expect([a.recentFrom(1), a.recentFrom(9)]).toEqual([12, 14])
    cache.dispose()
  })

  it('refuses what makes no sense', () => {
    for (const [wrong, message] of [
      [{ pages: 0 }, 'pages must be'],
      [{ rows: 1.5 }, 'rows must be'],
      [{ pageSize: 512 }, 'at most 256'],
      [{ layers: [] }, 'layers must be'],
      [{ policy: { window: 0 } }, 'window must be'],
      [{ policy: { window: 4, sinks: -1 } }, 'sinks must be'],
    ] as const)
      expect(() => new PageCache(device, { ...spec, ...wrong })).toThrow(message)
    const cache = new PageCache(device, spec)
    const sequence = cache.open([1, 2])
    sequence.reserve(2)
    expect(() => sequence.reserve(49)).toThrow('a sequence has at most 12 pages of 4 tokens')
    expect(() => sequence.reserve(-1)).toThrow('count must be')
    expect(() => sequence.append([1, 2, 3])).toThrow('reserve first')
    expect(() => sequence.slots(0, 3)).toThrow('tokens 0 to 2 may be written, got 0 to 3')
    expect(() => sequence.slots(0, 2, new Int32Array(3), 2)).toThrow('do not fit')
    expect(() => sequence.truncate(1)).toThrow('there are 0 tokens')
    for (let i = 1; i < 5; i++) cache.open([i])
    expect(() => sequence.fork()).toThrow('sequence.fork: all 5 rows')
    expect(() => cache.open([1])).toThrow('cache.open: all 5 rows')
    cache.dispose()
  })
})
