import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import type { Done } from '../wasm-pool.ts'
import {
  control,
  controlAddress,
  controlWords,
  entry,
  failureAddress,
  gate,
  record,
  ringAddress,
  ringEntries,
} from './control-block.ts'
import type { HeapView } from './heap-view.ts'
import type { KernelSlot } from './kernel-table.ts'
import type { Scratch } from './scratch-space.ts'

/** the workers say so when this many entries are done, so that the ring is filled again before it runs empty */
const tellEvery = ringEntries / 4

/** A kernel ready to be written down for the workers. */
export interface PackedKernel {
  readonly slot: KernelSlot
  readonly grid: readonly [number, number, number]
  readonly total: number
  /** address of the arguments, or the arguments, which then fit an entry */
  readonly frame: number | Uint8Array
}

/** What the workers run as one: kernels packed in the memory, or a single one. */
export interface RingWork {
  readonly kernels: readonly WasmKernel[]
  /** address of the records */
  readonly records: number | PackedKernel
  readonly scratch: Scratch
  readonly done: Done
}

/** arguments up to this long lie in the entry of their kernel */
export const ownFrameBytes = 4 * (entry.words - entry.ownFrame)

/** Writes a kernel's record. */
export function writeRecord(words: Int32Array, at: number, { slot, grid, total }: PackedKernel, frame: number): void {
  words[at + record.slot] = slot.index
  words[at + record.id] = slot.id
  words[at + record.frame] = frame
  words[at + record.gridX] = grid[0]
  words[at + record.gridY] = grid[1]
  words[at + record.total] = total
}

/**
 * The pool's end of the ring from which the workers take their kernels. What does not fit waits here; `done` is called when
 * the pool looks, which it does when the workers say that the ring ran empty.
 */
export class RunRing {
  readonly #heap: HeapView
  readonly #words: Int32Array<ArrayBufferLike>
  readonly #whenBusy: (busy: boolean) => void
  /** in order; the first `#placed` are in the ring */
  readonly #works: RingWork[] = []
  readonly #waits = typeof Atomics.waitAsync === 'function'
  #placed = 0
  #settled = 0
  #listening = false

  /** `whenBusy` is told when there is something to do, and when there is nothing any more. */
  constructor(heap: HeapView, whenBusy: (busy: boolean) => void) {
    this.#heap = heap
    this.#words = new Int32Array(heap.words.buffer, controlAddress, controlWords)
    this.#whenBusy = whenBusy
    this.#words[control.gate] = gate.idle
    this.#words[control.cursor] = -1
    this.#words[control.messages] = this.#waits ? 0 : 1
  }

  push(work: RingWork): void {
    this.#works.push(work)
    if (this.#works.length === 1) this.#whenBusy(true)
    this.#fill()
    this.#listen()
  }

  /** Settles what is done. */
  poll(): void {
    const words = this.#words
    for (;;) {
      const completed = Atomics.load(words, control.completed)
      if (completed !== this.#settled) {
        this.#settle(null)
        continue
      }
      if (!this.#stopped() || Atomics.load(words, control.completed) !== completed) break
      const error = this.#failure()
      words[control.cursor] = -1
      Atomics.store(words, control.completed, (completed + 1) | 0)
      Atomics.store(words, control.failure, 0)
      this.#wake()
      this.#settle(error)
    }
    this.#fill()
  }

  /** Fails everything that is not done. */
  end(error: FoveaError): void {
    const works = this.#works.splice(0)
    this.#placed = 0
    if (works.length > 0) this.#whenBusy(false)
    for (const { done } of works) done(error)
    Atomics.store(this.#words, control.stop, 1)
    Atomics.notify(this.#words, control.gate)
  }

  /** Has a kernel failed, and have the workers stopped there? */
  #stopped(): boolean {
    const words = this.#words
    return Atomics.load(words, control.failure) !== 0 && (Atomics.load(words, control.gate) & gate.idle) !== 0
  }

  #failure(): FoveaError {
    const length = this.#words[control.failure] as number
    const text = new TextDecoder().decode(this.#heap.bytes.slice(failureAddress, failureAddress + length))
    const kernel = this.#works[0]?.kernels[this.#words[control.cursor] as number]
    return new FoveaError('device', 'wasm.run', `${kernel?.name} failed: ${text}`)
  }

  #settle(error: FoveaError | null): void {
    this.#settled = (this.#settled + 1) | 0
    const work = this.#works.shift()
    // the pool has ended meanwhile
    if (!work) return
    this.#placed--
    if (this.#works.length === 0) this.#whenBusy(false)
    work.done(error)
  }

  #fill(): void {
    if (this.#placed === this.#works.length) return
    while (this.#placed < Math.min(this.#works.length, ringEntries))
      this.#place(this.#works[this.#placed++] as RingWork)
    this.#wake()
  }

  #place({ kernels, records, scratch }: RingWork): void {
    const { words, bytes } = this.#heap
    const pushed = this.#words[control.pushed] as number
    const at = ringAddress / 4 + entry.words * (pushed & (ringEntries - 1))
    words[at + entry.count] = kernels.length
    words[at + entry.scratch] = scratch.pointer
    words[at + entry.scratchStride] = scratch.stride
    words[at + entry.tell] = pushed % tellEvery === 0 ? 1 : 0
    if (typeof records === 'number') words[at + entry.records] = records / 4
    else {
      words[at + entry.records] = at + entry.ownRecord
      const own = 4 * (at + entry.ownFrame)
      const frame = typeof records.frame === 'number' ? records.frame : own
      if (typeof records.frame !== 'number') bytes.set(records.frame, own)
      writeRecord(words, at + entry.ownRecord, records, frame)
    }
    this.#words[control.memoryPages] = bytes.byteLength / 65536
    Atomics.store(this.#words, control.pushed, (pushed + 1) | 0)
  }

  /** Wakes the workers when they rest. */
  #wake(): void {
    const now = Atomics.load(this.#words, control.gate)
    if ((now & gate.idle) === 0) return
    const then = (now + gate.epoch) | 0
    if (Atomics.compareExchange(this.#words, control.gate, now, then) === now) Atomics.notify(this.#words, control.gate)
  }

  /** The workers have something to say. */
  told(): void {
    this.poll()
    this.#listen()
  }

  #listen(): void {
    if (!this.#waits || this.#listening || this.#works.length === 0) return
    this.#listening = true
    const words = this.#words
    const seen = Atomics.load(words, control.signal)
    // what was said before we listen will not be said again
    const missed = this.#stopped() || Atomics.load(words, control.completed) !== this.#settled
    const said = missed ? null : Atomics.waitAsync(words, control.signal, seen).value
    void Promise.resolve(said).then(() => {
      this.#listening = false
      this.told()
    })
  }
}
