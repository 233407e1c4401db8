import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { eventStream } from './event-stream.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Watched {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>
  /** events taken from the source */
  taken: number
  stalls: number
  /** what `onEnd` was told, each time */
  readonly ends: boolean[]
  left: boolean
  /** lets the source give its next event, where it waits */
  give: () => void
}

/** A stream of `count` events; from event `waitsFrom` on the source waits for `give`. */
function watch(count: number, waitsFrom = Number.POSITIVE_INFINITY): Watched {
  const watched = { taken: 0, stalls: 0, ends: [] as boolean[], left: false, give: () => {} }
  async function* events(): AsyncGenerator<string, void, undefined> {
    try {
      for (; watched.taken < count; ) {
        if (watched.taken >= waitsFrom)
          await new Promise<void>((resolve) => {
            watched.give = resolve
          })
        yield `event ${watched.taken++}`
      }
    } finally {
      watched.left = true
    }
  }
  const stream = eventStream(events(), {
    heartbeatMs: 100,
    stallMs: 1000,
    onStall: () => void watched.stalls++,
    onEnd: (complete) => void watched.ends.push(complete),
  })
  return Object.assign(watched, { reader: stream.getReader() })
}

async function read({ reader }: Watched): Promise<string | null> {
  const { done, value } = await reader.read()
  return done ? null : new TextDecoder().decode(value)
}

describe('eventStream', () => {
  it('writes events as data, and ends once', async () => {
    const watched = watch(2)
    expect([await read(watched), await read(watched), await read(watched)]).toEqual([
      'data: event 0\n\n',
      'data: event 1\n\n',
      null,
    ])
    expect(watched.ends).toEqual([true])
    await vi.advanceTimersByTimeAsync(5000)
    expect([watched.stalls, vi.getTimerCount()]).toEqual([0, 0])
  })

  it('takes one event ahead of its reader, and tells when none is read for long', async () => {
    const watched = watch(1000)
    await read(watched)
    await vi.advanceTimersByTimeAsync(999)
    expect([watched.taken, watched.stalls]).toEqual([2, 0])
    await vi.advanceTimersByTimeAsync(1)
    expect([watched.taken, watched.stalls]).toEqual([2, 1])
  })

  it('gives a sign of life while there is no event, one at a time', async () => {
    const watched = watch(3, 1)
    expect(await read(watched)).toBe('data: event 0\n\n')
    await vi.advanceTimersByTimeAsync(450)
    expect(await read(watched)).toBe(': still at work\n\n')
    watched.give()
    expect(await read(watched)).toBe('data: event 1\n\n')
    expect(watched.stalls).toBe(0)
  })

  it('leaves its source when the reader goes, at once or when the source comes to itself', async () => {
    const ready = watch(10)
    await read(ready)
    await ready.reader.cancel()
    await vi.advanceTimersByTimeAsync(0)
    expect([ready.ends, ready.left, vi.getTimerCount()]).toEqual([[false], true, 0])

    const waiting = watch(10, 1)
    await read(waiting)
    await waiting.reader.cancel()
    expect(waiting.ends).toEqual([false])
    waiting.give()
    await vi.advanceTimersByTimeAsync(0)
    expect([waiting.ends, waiting.left, vi.getTimerCount()]).toEqual([[false], true, 0])
  })
})
