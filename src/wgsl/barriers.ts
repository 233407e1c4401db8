/** A stretch of workgroup memory: chunks [from, to) of one of the arrays. */
export interface MemoryRange {
  readonly array: string
  readonly from: number
  readonly to: number
}

/** Accesses to workgroup memory since the last barrier. */
export interface PendingAccesses {
  readonly reads: readonly MemoryRange[]
  readonly writes: readonly MemoryRange[]
}

const overlap = (a: MemoryRange, b: MemoryRange) => a.array === b.array && a.from < b.to && b.from < a.to

/** Knows which accesses to workgroup memory are not yet separated by a barrier, and writes one where it is needed. */
export class Barriers {
  #reads: MemoryRange[]
  #writes: MemoryRange[]

  constructor() {
    this.#reads = []
    this.#writes = []
  }

  reset(pending: PendingAccesses): void {
    this.#reads = [...pending.reads]
    this.#writes = [...pending.writes]
  }

  get pending(): PendingAccesses {
    return { reads: [...this.#reads], writes: [...this.#writes] }
  }

  /**
   * Before other invocations read what was written. Ranges that are read together come in one call: a barrier for one of
   * them stands before all these reads and ends none of them.
   */
  read(ranges: readonly MemoryRange[], barrier: () => void): void {
    if (ranges.some((range) => this.#writes.some((other) => overlap(other, range)))) this.barrier(barrier)
    this.#reads.push(...ranges)
  }

  /** before writing over what others may still read or have written */
  write(range: MemoryRange, barrier: () => void): void {
    if ([...this.#reads, ...this.#writes].some((other) => overlap(other, range))) this.barrier(barrier)
    this.#writes.push(range)
  }

  barrier(barrier: () => void): void {
    barrier()
    this.#reads = []
    this.#writes = []
  }
}

/** Everything that is pending in one or the other. */
export function unionOf(a: PendingAccesses, b: PendingAccesses): PendingAccesses {
  const join = (x: readonly MemoryRange[], y: readonly MemoryRange[]) => [
    ...x,
    ...y.filter((range) => !x.some((other) => sameRange(other, range))),
  ]
  return { reads: join(a.reads, b.reads), writes: join(a.writes, b.writes) }
}

export function includes(whole: PendingAccesses, part: PendingAccesses): boolean {
  const within = (x: readonly MemoryRange[], y: readonly MemoryRange[]) =>
    y.every((range) => x.some((other) => sameRange(other, range)))
  return within(whole.reads, part.reads) && within(whole.writes, part.writes)
}

const sameRange = (a: MemoryRange, b: MemoryRange) => a.array === b.array && a.from === b.from && a.to === b.to
