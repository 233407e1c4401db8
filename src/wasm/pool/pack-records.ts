import type { WasmKernel } from '../compile-program.ts'
import type { PoolCall } from '../wasm-pool.ts'
import { record } from './control-block.ts'
import type { HeapView } from './heap-view.ts'
import type { KernelSlot, KernelTable } from './kernel-table.ts'
import type { MemoryAllocator } from './memory-allocator.ts'
import { packArguments } from './pack-arguments.ts'
import { writeRecord } from './run-ring.ts'

/** Calls as the workers read them, in one piece of memory: the records, then their arguments. Throws what `WasmPool.record` documents. */
export function packRecords(
  calls: readonly PoolCall[],
  table: KernelTable,
  allocator: MemoryAllocator,
  heap: HeapView,
): { kernels: readonly WasmKernel[]; records: number; release(): void } {
  const packed = calls.map((call) => ({ ...call, ...packArguments(call) })).filter(({ total }) => total > 0)
  const frames = packed.map(({ frame }) => Math.ceil(frame.length / 64) * 64)
  const recordBytes = 4 * record.words * packed.length
  const records = allocator.allocate(frames.reduce((sum, bytes) => sum + bytes, recordBytes))
  const slots: KernelSlot[] = []
  const release = () => {
    for (const slot of slots) table.unpin(slot)
    allocator.free(records)
  }
  try {
    for (const { kernel } of packed) slots.push(table.pin(kernel))
  } catch (error) {
    release()
    throw error
  }
  let at = records + recordBytes
  for (const [index, { frame, grid, total }] of packed.entries()) {
    heap.bytes.set(frame, at)
    const slot = slots[index] as KernelSlot
    writeRecord(heap.words, records / 4 + record.words * index, { slot, grid, total, frame: at }, at)
    at += frames[index] as number
  }
  return { kernels: packed.map(({ kernel }) => kernel), records, release }
}
