import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageAllocator } from './page-allocator.ts'
import { PrefixTree, treeRoot } from './prefix-tree.ts'

const pageSize = 2
const total = 24

/** The same tree, plainly: every path of pages as text → page, with the operation that used it last. */
interface Model {
  readonly tree: Map<string, { page: number; used: number }>
  readonly references: number[]
  clock: number
}

const key = (tokens: Int32Array, pages: number) => tokens.subarray(0, pages * pageSize).join(' ')
const isBelow = (path: string, other: string) => path.startsWith(`${other} `)
const leaves = ({ tree }: Model) => [...tree].filter(([path]) => ![...tree.keys()].some((p) => isBelow(p, path)))

/** What is used directly or through a page below it. */
function lastUse(model: Model, path: string): number {
  return Math.max(...[...model.tree].filter(([p]) => p === path || isBelow(p, path)).map(([, { used }]) => used))
}

const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('insert' as const), tokens: fc.array(fc.nat(1), { maxLength: 14 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('match' as const), tokens: fc.array(fc.nat(1), { maxLength: 14 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), at: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('evict' as const), count: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), at: fc.nat(1000) }) },
  // a holder lets go of the first pages of its path, as a window does
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), at: fc.nat(1000), count: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
)

describe('the prefix tree against a plain model', () => {
  it('random operations, 200 times 60', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (operations) => {
        const allocator = new PageAllocator(total)
        const tree = new PrefixTree(allocator, pageSize)
        const model: Model = { tree: new Map(), references: new Array(total).fill(0), clock: 0 }
        /** pages held by each holder */
        const holders: number[][] = []
        const hold = (pages: number[]) => {
          for (const page of pages) model.references[page] = (model.references[page] as number) + 1
          holders.push(pages)
        }
        const letGo = (page: number) => {
          allocator.release(page)
          model.references[page] = (model.references[page] as number) - 1
        }
        for (const op of operations) {
          if (op.kind === 'insert') {
            const tokens = Int32Array.from(op.tokens)
            const count = Math.floor(tokens.length / pageSize)
            if (allocator.free < count) continue
            const own = Array.from({ length: count }, () => allocator.allocate())
            const stands = tree.insert(tokens, own)
            stands.forEach((page, i) => {
              const path = key(tokens, i + 1)
              const known = model.tree.get(path)
              model.clock++
              if (known) {
                expect(page).toBe(known.page)
                known.used = model.clock
                allocator.retain(page)
                allocator.release(own[i] as number)
              } else {
                expect(page).toBe(own[i])
                model.tree.set(path, { page, used: model.clock })
              }
            })
            hold(stands)
          } else if (op.kind === 'match') {
            const tokens = Int32Array.from(op.tokens)
            const found = tree.match(tokens)
            model.clock++
            const naive: number[] = []
            for (let n = 1; n * pageSize <= tokens.length; n++) {
              const node = model.tree.get(key(tokens, n))
              if (!node) break
              node.used = model.clock
              naive.push(node.page)
            }
            expect(found).toEqual(naive)
            for (const page of found) allocator.retain(page)
            hold(found)
          } else if (op.kind === 'release' && holders.length > 0) {
            for (const page of holders.splice(op.at % holders.length, 1)[0] as number[]) letGo(page)
          } else if (op.kind === 'drop' && holders.length > 0) {
            const holder = holders[op.at % holders.length] as number[]
            for (const page of holder.splice(0, op.count)) letGo(page)
          } else if (op.kind === 'evict') {
            const evicted = tree.evict(op.count)
            let expected = 0
            for (; expected < op.count; expected++) {
              const idle = leaves(model).filter(([, { page }]) => model.references[page] === 0)
              const victim = idle.reduce<string | null>(
                (best, [path]) => (best === null || used(model, path) < used(model, best) ? path : best),
                null,
              )
              if (victim === null) break
              removeLeaf(model, victim)
            }
            expect(evicted).toBe(expected)
          } else if (op.kind === 'remove') {
            const all = leaves(model)
            if (all.length === 0) continue
            const [path, { page }] = all[op.at % all.length] as [string, { page: number }]
            tree.remove(page)
            removeLeaf(model, path)
          } else if (op.kind === 'cut') {
            const freed = tree.cut()
            const idle = [...model.tree].filter(([, { page }]) => model.references[page] === 0)
            const gone = [...model.tree].filter(([, { page }]) => !allocator.isKept(page))
            for (const [path] of gone) model.tree.delete(path)
            expect(freed).toBe(gone.filter(([, { page }]) => model.references[page] === 0).length)
            expect(freed > 0).toBe(idle.length > 0)
            // whole branches go, of which nobody held the first page
            for (const [path] of gone)
              expect(
                gone.some(([top, { page }]) => (top === path || isBelow(path, top)) && model.references[page] === 0),
              ).toBe(true)
          }
          compare(allocator, tree, model)
        }
        for (const pages of holders) for (const page of pages) letGo(page)
        tree.evict(total)
        expect([allocator.free, tree.pages]).toEqual([total, 0])
      }),
      { numRuns: 200 },
    )
  })
})

const used = (model: Model, path: string) => (model.tree.get(path) as { used: number }).used

function removeLeaf(model: Model, path: string): void {
  const parent = path.split(' ').slice(0, -pageSize).join(' ')
  const above = model.tree.get(parent)
  if (above) above.used = lastUse(model, parent)
  model.tree.delete(path)
}

function compare(allocator: PageAllocator, tree: PrefixTree, model: Model): void {
  const kept = new Set([...model.tree.values()].map(({ page }) => page))
  expect(tree.pages).toBe(kept.size)
  const pages = Array.from({ length: total }, (_, page) => page)
  const state = pages.map((page) => [allocator.references(page), allocator.isKept(page)])
  expect(state).toEqual(pages.map((page) => [model.references[page], kept.has(page)]))
  const idle = pages.filter((page) => model.references[page] === 0)
  const cached = idle.filter((page) => kept.has(page)).length
  const free = idle.length - cached
  expect([allocator.free, allocator.cached, allocator.used]).toEqual([free, cached, total - free - cached])
}

describe('the prefix tree', () => {
  it('is fast at the size of 32,000 tokens', () => {
    const pages = 40_000
    const allocator = new PageAllocator(pages)
    const tree = new PrefixTree(allocator, 16)
    const texts = Array.from({ length: 20 }, (_, text) =>
      // half of each is common to all
      Int32Array.from({ length: 32_000 }, (_, i) => (i < 16_000 ? i : i * 7 + text) & 8191),
    )
    let start = performance.now()
    for (const text of texts) {
      const own = Array.from({ length: 2000 }, () => allocator.allocate())
      const stands = tree.insert(text, own)
      for (const page of stands) allocator.retain(page)
      for (const page of own) allocator.release(page)
      for (const page of stands) allocator.release(page)
    }
    const inserting = performance.now() - start
    expect(tree.pages).toBe(1000 + 20 * 1000)
    start = performance.now()
    for (let again = 0; again < 5; again++) for (const text of texts) expect(tree.match(text).length).toBe(2000)
    const matching = (performance.now() - start) / 100
    start = performance.now()
    expect(tree.evict(pages)).toBe(21_000)
    const evicting = performance.now() - start
    expect(allocator.free).toBe(pages)
    // five to fifty times what it takes here, against what is quadratic
    expect(matching).toBeLessThan(5)
    expect(inserting + evicting).toBeLessThan(2000)
  })

  it('finds a child among thousands', () => {
    const allocator = new PageAllocator(5000)
    const tree = new PrefixTree(allocator, 1)
    for (let token = 0; token < 5000; token++) tree.enter(treeRoot, Int32Array.of(token), 0, allocator.allocate())
    for (let token = 0; token < 5000; token++) expect(tree.match(Int32Array.of(token, 0))).toEqual([token])
  })

  it('refuses what is no prefix', () => {
    const allocator = new PageAllocator(3)
    const tree = new PrefixTree(allocator, 4)
    const [a, b] = [allocator.allocate(), allocator.allocate()]
    const tokens = Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    expect(() => tree.enter(b, tokens, 0, a)).toThrow('the parent 1 of page 0 is not in the tree')
    expect(() => tree.enter(treeRoot, tokens, 5, a)).toThrow('pages have 4 tokens, got 3')
    tree.enter(treeRoot, tokens, 0, a)
    expect(() => tree.enter(a, tokens, 4, a)).toThrow('page 0 is held 1 times and kept')
    expect(() => tree.enter(a, tokens, 4, 2)).toThrow('page 2 is free')
    expect(() => tree.insert(tokens, [a, b, b])).toThrow('3 pages hold 12 tokens, got 8')
    tree.enter(a, tokens, 4, b)
    expect(() => tree.remove(a)).toThrow('page 0 is no leaf')
    expect(() => new PrefixTree(allocator, 0)).toThrow('pageSize')
  })
})
