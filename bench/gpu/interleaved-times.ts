import type { Device } from '../../src/device/index.ts'

export interface Times {
  readonly medianMs: number
  readonly minMs: number
  readonly maxMs: number
  readonly rounds: number
  readonly clock: 'device' | 'wall'
}

export interface IntervalOptions {
  readonly rounds?: number
  readonly fillMs?: number
  readonly limitMs?: number
  readonly warmMs?: number
}

/** Calls enqueued before the device is waited for: what they allocate is then used again, as in a program that reads results. */
const together = 4

/**
 * Time of one run of each variant, all variants in turn in every round, so that a device that grows warm slows them alike.
 * A round runs a variant as often as fills `fillMs` on the device; the first rounds do not count. A device so slow that
 * `limitMs` have passed gets fewer rounds, at least one. Before all of it the device works for `warmMs`: a GPU that was left
 * alone while the CPU checked results has dropped its clock, and takes half a second to raise it.
 */
export async function interleavedTimes(
  device: Device,
  variants: readonly (() => void | Promise<void>)[],
  { rounds = 9, fillMs = 40, limitMs = 12_000, warmMs = 700 }: IntervalOptions = {},
): Promise<Times[]> {
  for (const begin = performance.now(); performance.now() - begin < warmMs; ) {
    for (const run of variants) await run()
    await device.sync()
  }
  const repeats: number[] = []
  for (const run of variants) {
    await run()
    await device.sync()
    const { nanoseconds } = await device.time(run)
    repeats.push(Math.min(60, Math.max(1, Math.round((fillMs * 1e6) / Math.max(1, nanoseconds)))))
  }
  const times: number[][] = variants.map(() => [])
  let clock: Times['clock'] = 'wall'
  const start = performance.now()
  for (let round = -2; round < rounds; round++) {
    if (round > 0 && performance.now() - start > limitMs) break
    for (const [i, run] of variants.entries()) {
      const count = repeats[i]!
      const timed = await device.time(async () => {
        for (let n = 1; n <= count; n++) {
          await run()
          if (n % together === 0) await device.sync()
        }
      })
      clock = timed.clock
      if (round >= 0) times[i]!.push(timed.nanoseconds / count / 1e6)
    }
  }
  return times.map((list) => {
    const sorted = list.sort((a, b) => a - b)
    return {
      medianMs: sorted[sorted.length >> 1]!,
      minMs: sorted[0]!,
      maxMs: sorted.at(-1)!,
      rounds: sorted.length,
      clock,
    }
  })
}
