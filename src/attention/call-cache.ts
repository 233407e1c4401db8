import type { Device, Tensor } from '../device/device.ts'
import type { Kernel, KnownTensor, Program } from '../tile/index.ts'

/** A work list on its device. */
export interface PlacedWork {
  readonly items: Tensor
  readonly runs: Tensor
  readonly headsPerItem: number
}

/**
 * What the calls on one device keep for the next: programs, work lists, and what the host knows of captured tensors. Bounded:
 * the oldest entries go first.
 */
export interface CallCache {
  /** a number for an object, the same whenever asked */
  numberOf(object: object): number
  readonly programs: BoundedMap<Program>
  readonly work: BoundedMap<PlacedWork>
  readonly known: WeakMap<Tensor, { readonly version: number; readonly tensor: KnownTensor }>
}

// a private field of devices, in effect: it lives and dies with each of them
const caches = new WeakMap<Device, CallCache>()

/** The cache of a device, made on first use. */
export function callCache(device: Device): CallCache {
  const existing = caches.get(device)
  if (existing) return existing
  // a rehearsal knows the programs of its device; work lists of its own, which hold nothing
  if (device.rehearses) {
    const rehearsed = { ...callCache(device.rehearses), work: keptWork() }
    caches.set(device, rehearsed)
    return rehearsed
  }
  const numbers = new WeakMap<object, number>()
  let count = 0
  const cache: CallCache = {
    numberOf(object) {
      const known = numbers.get(object)
      if (known !== undefined) return known
      numbers.set(object, count)
      return count++
    },
    programs: new BoundedMap(128, () => {}),
    work: keptWork(),
    known: new WeakMap(),
  }
  caches.set(device, cache)
  return cache
}

function keptWork(): BoundedMap<PlacedWork> {
  return new BoundedMap(32, ({ items, runs }) => {
    items.dispose()
    runs.dispose()
  })
}

/** A kernel whose program is taken from the cache, or joins it. */
export function keepProgram(cache: CallCache, key: string, make: (known: { program?: Program }) => Kernel): Kernel {
  const known = cache.programs.get(key)
  const kernel = make(known ? { program: known } : {})
  if (!known) cache.programs.set(key, kernel.program)
  return kernel
}

/** A map that drops its least recently used entry beyond `limit`. */
export class BoundedMap<V> {
  readonly #entries = new Map<string, V>()
  readonly #limit: number
  readonly #drop: (value: V) => void

  constructor(limit: number, drop: (value: V) => void) {
    this.#limit = limit
    this.#drop = drop
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, value)
    }
    return value
  }

  set(key: string, value: V): void {
    this.#entries.set(key, value)
    for (const [oldest, dropped] of this.#entries) {
      if (this.#entries.size <= this.#limit) break
      this.#entries.delete(oldest)
      this.#drop(dropped)
    }
  }
}
