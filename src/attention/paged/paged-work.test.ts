import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maxRuns, pagedFields, pagedWorkCapacity, planPagedWork, workWidth } from './paged-work.ts'

const sequence = fc
  .record({ qLength: fc.integer({ min: 1, max: 40 }), before: fc.integer({ min: 0, max: 200 }) })
  .map(({ qLength, before }) => ({ qLength, kLength: qLength + before }))
const steps = fc.record({
  lengths: fc.array(sequence, { minLength: 1, maxLength: 3 }),
  window: fc.option(fc.integer({ min: 1, max: 200 })),
  sinks: fc.integer({ min: 0, max: 80 }),
  chunk: fc.option(fc.integer({ min: 1, max: 100 })),
  tileQ: fc.constantFrom(1, 3, 8, 96),
  tileK: fc.constantFrom(16, 32, 64),
  rowsPerQuery: fc.constantFrom(1, 3),
  splits: fc.constantFrom(1, 2, 5),
})

interface Plan {
  readonly window: number | null
  readonly sinks: number
  readonly chunk: number | null
  readonly tileQ: number
  readonly tileK: number
  readonly rowsPerQuery: number
}

function isVisible({ window, sinks, chunk }: Plan, position: number, k: number): boolean {
  const sameChunk = chunk === null || Math.floor(k / chunk) === Math.floor(position / chunk)
  return k <= position && sameChunk && (window === null || k > position - window || k < sinks)
}

/** Counts what an item streams; throws for a full tile that is not, and a tile of which nothing is visible. */
function streamItem(
  item: Int32Array,
  lengths: readonly { readonly qLength: number; readonly kLength: number }[],
  spec: Plan,
  seen: readonly (readonly Uint8Array[])[],
  written: Set<string>,
): void {
  const { tileQ, tileK, rowsPerQuery } = spec
  const field = (name: (typeof pagedFields)[number]) => item[pagedFields.indexOf(name)] as number
  const { qLength, kLength } = lengths[field('row')] as (typeof lengths)[number]
  expect([field('qLength'), field('kLength')]).toEqual([qLength, kLength])
  const state = `${field('row')} ${field('rowStart')} ${field('split')}`
  expect(written.has(state), state).toBe(false)
  written.add(state)
  expect(field('runs')).toBeLessThanOrEqual(maxRuns)
  for (let r = 0; r < field('runs'); r++) {
    const [from = 0, to = 0, full] = item.subarray(pagedFields.length + 3 * r)
    expect(from % tileK === 0 && to % tileK === 0 && from < to).toBe(true)
    for (let tile = from; tile < to; tile += tileK) {
      let any = false
      for (let at = field('rowStart'); at < Math.min(field('rowStart') + tileQ, qLength * rowsPerQuery); at++) {
        const position = kLength - qLength + Math.floor(at / rowsPerQuery)
        const counts = seen[field('row')]?.[at] as Uint8Array
        for (let k = tile; k < tile + tileK; k++) {
          const visible = isVisible(spec, position, k)
          if (full === 1 && !visible) throw new Error(`key ${k} of query at ${position} in a full tile`)
          any ||= visible
          if (visible) counts[k] = (counts[k] as number) + 1
        }
      }
      expect(any, `tile ${tile} of ${[...item]}`).toBe(true)
    }
  }
}

describe('planPagedWork', () => {
  it('covers what is visible once, masks what is not, and has room', () =>
    fc.assert(
      fc.property(steps, ({ lengths, ...spec }) => {
        const tokens = lengths.reduce((sum, { qLength }) => sum + qLength, 0)
        const { tileQ, rowsPerQuery, splits } = spec
        const capacity = pagedWorkCapacity({ tileQ, rowsPerQuery, splits, tokens, sequences: lengths.length })
        let qBase = 0
        const sequences = lengths.map(({ qLength, kLength }, row) => {
          qBase += qLength
          return { row, qBase: qBase - qLength, qLength, kLength }
        })
        const { work, items } = planPagedWork({ ...spec, sequences, capacity: capacity + 3 })
        expect(items).toBeLessThanOrEqual(capacity)
        expect(work.length).toBe((capacity + 3) * workWidth)
        expect([...work.subarray(items * workWidth)].every((x) => x === 0)).toBe(true)
        // how often each key is streamed for each row of a sequence
        const seen = lengths.map(({ qLength, kLength }) =>
          Array.from({ length: qLength * spec.rowsPerQuery }, () => new Uint8Array(kLength)),
        )
        const written = new Set<string>()
        for (let i = 0; i < items; i++)
          streamItem(work.subarray(i * workWidth, (i + 1) * workWidth), lengths, spec, seen, written)
        lengths.forEach(({ qLength, kLength }, s) => {
          for (let at = 0; at < qLength * spec.rowsPerQuery; at++) {
            const position = kLength - qLength + Math.floor(at / spec.rowsPerQuery)
            for (let k = 0; k < kLength; k++)
              if (seen[s]?.[at]?.[k] !== Number(isVisible(spec, position, k)))
                throw new Error(`key ${k} of query at ${position}: streamed ${seen[s]?.[at]?.[k]} times`)
          }
          // every split of every tile of rows has an item, so that its state is written
          for (let at = 0; at < qLength * spec.rowsPerQuery; at += spec.tileQ)
            for (let split = 0; split < spec.splits; split++) expect(written.has(`${s} ${at} ${split}`)).toBe(true)
        })
      }),
      { numRuns: 100 },
    ))

  it('takes no time: closed form, whatever the context', () => {
    const decode = Array.from({ length: 8 }, (_, row) => ({ row, qBase: row, qLength: 1, kLength: 30_000 + row }))
    const prefill = [{ row: 0, qBase: 0, qLength: 512, kLength: 32_768 }]
    const time = (work: () => unknown) => {
      let best = Number.POSITIVE_INFINITY
      for (let round = 0; round < 200; round++) {
        const start = performance.now()
        work()
        best = Math.min(best, performance.now() - start)
      }
      return best
    }
    const common = { tileK: 64, window: null, sinks: 0 }
    expect(
      time(() => planPagedWork({ ...common, sequences: decode, tileQ: 3, rowsPerQuery: 3, splits: 2, capacity: 16 })),
    ).toBeLessThan(0.2)
    expect(
      time(() => planPagedWork({ ...common, sequences: prefill, tileQ: 96, rowsPerQuery: 3, splits: 1, capacity: 17 })),
    ).toBeLessThan(1)
  })

  it('refuses more items than there is room for, and more queries than keys', () => {
    const spec = { tileQ: 8, tileK: 16, rowsPerQuery: 1, splits: 1, capacity: 2 }
    const one = { row: 3, qBase: 0, qLength: 17, kLength: 20 }
    expect(() => planPagedWork({ ...spec, sequences: [one] })).toThrow(/planPagedWork: 3 items, there is room for 2/)
    expect(() => planPagedWork({ ...spec, sequences: [{ ...one, kLength: 4 }] })).toThrow(
      /planPagedWork: 17 queries over 4 keys \(row 3\)/,
    )
    expect(() => planPagedWork({ ...spec, capacity: 9, sequences: [one], chunk: 0 })).toThrow(
      /chunk must be a whole number ≥ 1/,
    )
    expect(() => planPagedWork({ ...spec, capacity: 9, sequences: [one], window: 1.5 })).toThrow(
      /window must be a whole number ≥ 1/,
    )
  })
})
