import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeIterables } from './merge-iterables.ts'

/** Gives 0, 1, 2 …, each after so many turns of the event loop. */
async function* countAfter(
  turns: readonly number[],
  state = { taken: 0, left: false },
): AsyncGenerator<number, void, void> {
  try {
    for (const [i, count] of turns.entries()) {
      for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
      state.taken++
      yield i
    }
  } finally {
    state.left = true
  }
}

describe('mergeIterables', () => {
  it('gives all of every source, each in its order', async () => {
    const turns = fc.array(fc.array(fc.nat(3), { maxLength: 6 }), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(turns, async (lists) => {
        const given = lists.map((): number[] => [])
        for await (const { source, value } of mergeIterables(lists.map((each) => countAfter(each))))
          given[source]?.push(value)
        expect(given).toEqual(lists.map((each) => [...each.keys()]))
      }),
      { numRuns: 50 },
    )
  })

  it('does not wait for a slow source while another has something', async () => {
    const sources: number[] = []
    for await (const { source } of mergeIterables([countAfter([50]), countAfter([0, 0, 0])])) sources.push(source)
    expect(sources).toEqual([1, 1, 1, 0])
  })

  it('takes at most one value ahead of each source, and leaves all of them when it is left', async () => {
    const states = [0, 1, 2].map(() => ({ taken: 0, left: false }))
    for await (const _ of mergeIterables(states.map((state) => countAfter(new Array(100).fill(0), state)))) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      break
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(states.map(({ taken, left }) => [taken <= 2, left])).toEqual(states.map(() => [true, true]))
  })

  it('throws what a source throws, and leaves the others', async () => {
    const state = { taken: 0, left: false }
    async function* failing(): AsyncGenerator<number, void, void> {
      yield 0
      throw new Error('broken')
    }
    const all = (async () => {
      for await (const _ of mergeIterables([countAfter(new Array(100).fill(1), state), failing()]));
    })()
    await expect(all).rejects.toThrow('broken')
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect([state.taken < 100, state.left]).toEqual([true, true])
  })
})
