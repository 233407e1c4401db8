import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import type { KernelArgument } from '../emit/kernel-frame.ts'
import type { Done, PoolCall, PoolRecording, WasmBuild, WasmPool } from '../wasm-pool.ts'
import { heapAddress } from './control-block.ts'
import { HeapView } from './heap-view.ts'
import { KernelTable } from './kernel-table.ts'
import { MemoryAllocator } from './memory-allocator.ts'
import { packArguments } from './pack-arguments.ts'
import { packRecords } from './pack-records.ts'
import { ownFrameBytes, type PackedKernel, RunRing } from './run-ring.ts'
import { ScratchSpace } from './scratch-space.ts'
import { type PoolWorker, startWorkers } from './start-workers.ts'

/** A pool of workers on one shared memory, who go from kernel to kernel by themselves. */
export class SharedPool implements WasmPool {
  readonly memory: WebAssembly.Memory
  readonly threads: number
  readonly relaxed: boolean
  readonly wide: boolean
  readonly notes: readonly string[] = []
  readonly #allocator: MemoryAllocator
  readonly #heap: HeapView
  readonly #kernels: KernelTable
  readonly #scratch: ScratchSpace
  readonly #ring: RunRing
  readonly #workers: PoolWorker[] = []
  #ended: FoveaError | null = null

  private constructor(memory: WebAssembly.Memory, threads: number, build: WasmBuild, maxBytes: number) {
    this.memory = memory
    this.threads = threads
    this.relaxed = build.relaxed
    this.wide = build.wide
    this.#allocator = new MemoryAllocator(memory, heapAddress, maxBytes)
    this.#heap = new HeapView(memory)
    this.#kernels = new KernelTable(this.#heap, this.#allocator, threads)
    this.#scratch = new ScratchSpace(this.#allocator, threads)
    this.#ring = new RunRing(this.#heap, (busy) => {
      this.#workers[0]?.hold(busy)
      if (!busy) this.#kernels.collect()
    })
  }

  /** Starts the workers and waits until all of them serve. Throws `device` when they do not. */
  static async open(
    memory: WebAssembly.Memory,
    threads: number,
    build: WasmBuild,
    maxBytes: number,
    workerUrl?: string,
  ): Promise<SharedPool> {
    const pool = new SharedPool(memory, threads, build, maxBytes)
    const lost = (cause: unknown) =>
      new FoveaError('device', 'wasm.pool', `one of ${threads} workers was lost`, { cause })
    const events = { message: () => pool.#ring.told(), lost: (cause: unknown) => pool.#end(lost(cause)) }
    const workers = await startWorkers(memory, threads, events, workerUrl).catch((cause: unknown) => {
      const error = new FoveaError('device', 'wasm.pool', `no worker starts: ${messageOf(cause)}`, { cause })
      pool.#end(error)
      throw error
    })
    pool.#workers.push(...workers)
    for (const worker of workers) worker.hold(false)
    return pool
  }

  allocate(bytes: number): number {
    this.#assertOpen('wasm.allocate')
    return this.#allocator.allocate(bytes)
  }

  free(pointer: number): void {
    this.#allocator.free(pointer)
  }

  enqueue(call: PoolCall, done: Done): void {
    this.#assertOpen('wasm.run')
    const { frame, total } = packArguments(call)
    if (total === 0) {
      queueMicrotask(() => done(null))
      return
    }
    const { kernel, grid } = call
    const slot = this.#kernels.pin(kernel)
    let at: number | null = null
    const release = () => {
      this.#kernels.unpin(slot)
      if (at !== null) this.#allocator.free(at)
    }
    try {
      if (frame.length > ownFrameBytes) {
        at = this.#allocator.allocate(frame.length)
        this.#heap.bytes.set(frame, at)
      }
      this.#push([kernel], { slot, grid, total, frame: at ?? frame }, kernel.scratchBytes, (error) => {
        release()
        done(error)
      })
    } catch (error) {
      release()
      throw error
    }
  }

  record(calls: readonly PoolCall[]): PoolRecording {
    this.#assertOpen('wasm.run')
    const { kernels, records, release } = packRecords(calls, this.#kernels, this.#allocator, this.#heap)
    const scratchBytes = Math.max(0, ...kernels.map((kernel) => kernel.scratchBytes))
    let queued = 0
    let disposed = false
    return {
      enqueue: (done) => {
        this.#assertOpen('wasm.run')
        if (kernels.length === 0) {
          queueMicrotask(() => done(null))
          return
        }
        this.#push(kernels, records, scratchBytes, (error) => {
          queued--
          if (disposed && queued === 0) release()
          done(error)
        })
        queued++
      },
      dispose: () => {
        if (!disposed && queued === 0) release()
        disposed = true
      },
    }
  }

  async run(
    kernel: WasmKernel,
    args: readonly KernelArgument[],
    grid: readonly [number, number, number],
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.enqueue({ kernel, args, grid }, (error) => (error ? reject(error) : resolve()))
    })
  }

  poll(): void {
    this.#ring.poll()
  }

  forget(kernel: WasmKernel): void {
    this.#kernels.forget(kernel)
  }

  dispose(): void {
    this.#end(new FoveaError('disposed', 'wasm.pool', 'the pool was disposed'))
    for (const worker of this.#workers.splice(0)) worker.terminate()
  }

  #push(kernels: readonly WasmKernel[], records: number | PackedKernel, scratchBytes: number, done: Done): void {
    const scratch = this.#scratch.acquire(scratchBytes)
    this.#ring.push({
      kernels,
      records,
      scratch,
      done: (error) => {
        this.#scratch.release(scratch)
        done(error)
      },
    })
  }

  #assertOpen(where: string): void {
    if (this.#ended) throw new FoveaError(this.#ended.code, where, this.#ended.message, { cause: this.#ended })
  }

  /** Fails what is running and waiting; what comes later is refused. */
  #end(error: FoveaError): void {
    this.#ended ??= error
    this.#ring.end(this.#ended)
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
