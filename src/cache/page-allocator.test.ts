import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FoveaError } from '../tile/index.ts'
import { PageAllocator } from './page-allocator.ts'

const step = fc.record({
  kind: fc.constantFrom('allocate' as const, 'retain' as const, 'release' as const, 'keep' as const, 'forget' as const),
  page: fc.integer({ min: -1, max: 9 }),
})

describe('the page allocator', () => {
  it('random operations against a plain model, 500 times 80', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { maxLength: 80, size: 'max' }), (total, steps) => {
        const allocator = new PageAllocator(total)
        const pages = Array.from({ length: total }, () => ({ references: 0, kept: false }))
        const isFree = (page: { references: number; kept: boolean } | undefined) => page?.references === 0 && !page.kept
        for (const { kind, page } of steps) {
          const known = pages[page]
          const free = pages.filter(isFree).length
          const allowed = {
            allocate: free > 0,
            retain: known !== undefined && !isFree(known),
            release: known !== undefined && known.references > 0,
            keep: known !== undefined && known.references > 0 && !known.kept,
            forget: known?.kept === true,
          }[kind]
          if (!allowed) {
            expect(() => allocator[kind](page)).toThrow(FoveaError)
            continue
          }
          if (kind === 'allocate') {
            const fresh = pages[allocator.allocate()]
            expect(isFree(fresh)).toBe(true)
            if (fresh) fresh.references = 1
            continue
          }
          allocator[kind](page)
          if (!known) continue
          if (kind === 'retain') known.references++
          if (kind === 'release') known.references--
          if (kind === 'keep') known.kept = true
          if (kind === 'forget') known.kept = false
          expect(pages.map((_, p) => allocator.references(p))).toEqual(pages.map(({ references }) => references))
          const cached = pages.filter((p) => p.kept && p.references === 0).length
          expect([allocator.free, allocator.cached]).toEqual([pages.filter(isFree).length, cached])
          expect(allocator.used).toBe(pages.filter((p) => p.references > 0).length)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('says what is taken when there is no page', () => {
    const allocator = new PageAllocator(2)
    allocator.keep(allocator.allocate())
    allocator.release(0)
    expect(allocator.allocate()).toBe(1)
    expect(() => allocator.allocate()).toThrow('all 2 pages are taken: 1 used, 1 cached')
    try {
      allocator.allocate()
    } catch (error) {
      expect((error as FoveaError).code).toBe('capacity')
    }
    expect(() => new PageAllocator(0)).toThrow('pages must be a whole number')
  })
})
