import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import { kernelSlot, tableAddress, tableSlots } from './control-block.ts'
import type { HeapView } from './heap-view.ts'
import type { MemoryAllocator } from './memory-allocator.ts'

/** A kernel's place in the table that the workers read. */
export interface KernelSlot {
  readonly index: number
  readonly id: number
  readonly kernel: WasmKernel
}

interface Slot extends KernelSlot {
  /** queued runs and recordings that name it */
  pins: number
  /** where the module's bytes are, 0 when every worker has compiled them */
  pointer: number
}

/** The kernels that the workers know. A slot nobody uses is given to another kernel when the table is full, the longest unused first. */
export class KernelTable {
  readonly #heap: HeapView
  readonly #allocator: MemoryAllocator
  readonly #threads: number
  /** by when they were last used */
  readonly #slots = new Map<WasmKernel, Slot>()
  readonly #compiling = new Set<Slot>()
  readonly #spare: number[] = []
  #made = 0
  #lastId = 0

  constructor(heap: HeapView, allocator: MemoryAllocator, threads: number) {
    this.#heap = heap
    this.#allocator = allocator
    this.#threads = threads
  }

  /** The kernel's slot, which stays as it is until `unpin`. Throws `memory`, and `limit` when every slot is in use. */
  pin(kernel: WasmKernel): KernelSlot {
    const slot = this.#slots.get(kernel) ?? this.#add(kernel)
    slot.pins++
    this.#slots.delete(kernel)
    this.#slots.set(kernel, slot)
    return slot
  }

  unpin({ kernel }: KernelSlot): void {
    const slot = this.#slots.get(kernel)
    if (slot) slot.pins--
  }

  /** Gives up a kernel that is not in use. */
  forget(kernel: WasmKernel): void {
    const slot = this.#slots.get(kernel)
    if (slot && slot.pins === 0) this.#remove(slot)
  }

  /** Frees modules that every worker has compiled. */
  collect(): void {
    for (const slot of this.#compiling) {
      const row = tableAddress / 4 + slot.index * kernelSlot.words
      if (Atomics.load(this.#heap.words, row + kernelSlot.compiled) >= this.#threads) this.#freeModule(slot)
    }
  }

  #add(kernel: WasmKernel): Slot {
    const index = this.#freeIndex()
    let pointer: number
    try {
      pointer = this.#allocator.allocate(kernel.bytes.length)
    } catch (error) {
      this.#spare.push(index)
      throw error
    }
    this.#heap.bytes.set(kernel.bytes, pointer)
    const slot: Slot = { index, id: ++this.#lastId, kernel, pins: 0, pointer }
    const row = tableAddress / 4 + index * kernelSlot.words
    const { words } = this.#heap
    words[row + kernelSlot.id] = slot.id
    words[row + kernelSlot.pointer] = pointer
    words[row + kernelSlot.bytes] = kernel.bytes.length
    words[row + kernelSlot.compiled] = 0
    this.#compiling.add(slot)
    return slot
  }

  #freeIndex(): number {
    const spare = this.#spare.pop()
    if (spare !== undefined) return spare
    if (this.#made < tableSlots) return this.#made++
    for (const slot of this.#slots.values()) {
      if (slot.pins > 0) continue
      this.#remove(slot)
      return this.#spare.pop() as number
    }
    throw new FoveaError('limit', 'wasm.run', `${tableSlots} kernels are in use, and no more can be`)
  }

  #remove(slot: Slot): void {
    this.#freeModule(slot)
    this.#slots.delete(slot.kernel)
    this.#spare.push(slot.index)
  }

  #freeModule(slot: Slot): void {
    this.#compiling.delete(slot)
    if (slot.pointer !== 0) this.#allocator.free(slot.pointer)
    slot.pointer = 0
  }
}
