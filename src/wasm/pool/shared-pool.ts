import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import type { KernelArgument } from '../emit/kernel-frame.ts'
import type { WasmBuild, WasmPool } from '../wasm-pool.ts'
import { control, controlAddress, failureAddress, frameAddress, heapAddress } from './control-block.ts'
import { type KernelRun, packArguments } from './kernel-run.ts'
import { MemoryAllocator } from './memory-allocator.ts'
import { type PoolWorker, startWorker } from './start-worker.ts'

/** A pool of workers on one shared memory: kernels run one after the other, each on all workers. */
export class SharedPool implements WasmPool {
  readonly memory: WebAssembly.Memory
  readonly threads: number
  readonly relaxed: boolean
  readonly wide: boolean
  readonly #allocator: MemoryAllocator
  readonly #words: Int32Array<ArrayBufferLike>
  readonly #workers: PoolWorker[] = []
  readonly #kernels = new Map<WasmKernel, number>()
  readonly #queue: KernelRun[] = []
  #lastKernel = 0
  #running: { run: KernelRun; module: number } | null = null
  #scratch = { pointer: 0, stride: 0 }
  #ended: FoveaError | null = null

  private constructor(memory: WebAssembly.Memory, threads: number, build: WasmBuild, maxBytes: number) {
    this.memory = memory
    this.threads = threads
    this.relaxed = build.relaxed
    this.wide = build.wide
    this.#allocator = new MemoryAllocator(memory, heapAddress, maxBytes)
    this.#words = new Int32Array(memory.buffer, controlAddress, 32)
  }

  /** Starts the workers and waits until all of them serve. */
  static async open(
    memory: WebAssembly.Memory,
    threads: number,
    build: WasmBuild,
    maxBytes: number,
  ): Promise<SharedPool> {
    const pool = new SharedPool(memory, threads, build, maxBytes)
    try {
      await new Promise<void>((resolve, reject) => {
        let waiting = threads
        for (let index = 0; index < threads; index++) {
          const worker = startWorker(memory, index, {
            message: (value) => {
              if (value !== 'ready') pool.#finish()
              else if (--waiting === 0) resolve()
            },
            lost: (cause) => {
              const error = new FoveaError('device', 'wasm.pool', `worker ${index} of ${threads} was lost`, { cause })
              pool.#end(error)
              reject(error)
            },
          })
          pool.#workers.push(worker)
        }
      })
    } catch (error) {
      pool.dispose()
      throw error
    }
    for (const worker of pool.#workers) worker.hold(false)
    return pool
  }

  allocate(bytes: number): number {
    this.#assertOpen('wasm.allocate')
    return this.#allocator.allocate(bytes)
  }

  free(pointer: number): void {
    this.#allocator.free(pointer)
  }

  async run(
    kernel: WasmKernel,
    args: readonly KernelArgument[],
    grid: readonly [number, number, number],
  ): Promise<void> {
    this.#assertOpen('wasm.run')
    const { frame, total } = packArguments(kernel, args, grid)
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ kernel, frame, grid, total, resolve, reject })
      this.#startNext()
    })
  }

  dispose(): void {
    this.#end(new FoveaError('disposed', 'wasm.pool', 'the pool was disposed'))
    Atomics.store(this.#words, control.stop, 1)
    Atomics.add(this.#words, control.generation, 1)
    Atomics.notify(this.#words, control.generation)
    for (const worker of this.#workers.splice(0)) worker.terminate()
  }

  #assertOpen(where: string): void {
    if (this.#ended) throw new FoveaError(this.#ended.code, where, this.#ended.message, { cause: this.#ended })
  }

  /** Fails what is running and waiting; what comes later is refused. */
  #end(error: FoveaError): void {
    this.#ended ??= error
    const running = this.#running
    this.#running = null
    running?.run.reject(this.#ended)
    for (const run of this.#queue.splice(0)) run.reject(this.#ended)
  }

  #startNext(): void {
    while (!this.#running && !this.#ended) {
      const run = this.#queue.shift()
      if (!run) return
      try {
        if (run.total === 0) run.resolve()
        else this.#start(run)
      } catch (error) {
        run.reject(error)
      }
    }
  }

  #start(run: KernelRun): void {
    const { kernel } = run
    this.#prepareScratch(kernel.scratchBytes)
    const known = this.#kernels.get(kernel)
    const words = this.#words
    let module = 0
    if (known === undefined) {
      module = this.#allocator.allocate(kernel.bytes.length)
      new Uint8Array(this.memory.buffer, module, kernel.bytes.length).set(kernel.bytes)
    }
    const id = known ?? ++this.#lastKernel
    this.#kernels.set(kernel, id)
    new Uint8Array(this.memory.buffer, frameAddress, run.frame.length).set(run.frame)
    words[control.kernel] = id
    words[control.modulePointer] = module
    words[control.moduleBytes] = kernel.bytes.length
    words[control.frame] = frameAddress
    words[control.gridX] = run.grid[0]
    words[control.gridY] = run.grid[1]
    words[control.total] = run.total
    words[control.scratch] = this.#scratch.pointer
    words[control.scratchStride] = this.#scratch.stride
    words[control.failure] = 0
    words[control.next] = 0
    Atomics.store(words, control.pending, this.threads)
    this.#running = { run, module }
    this.#workers[0]?.hold(true)
    Atomics.add(words, control.generation, 1)
    Atomics.notify(words, control.generation)
  }

  /** The last worker has finished the kernel. */
  #finish(): void {
    const running = this.#running
    if (!running) return
    this.#running = null
    this.#workers[0]?.hold(false)
    // every worker has compiled the module by now
    if (running.module !== 0) this.#allocator.free(running.module)
    const length = this.#words[control.failure] as number
    if (length === 0) running.run.resolve()
    else {
      const text = new TextDecoder().decode(new Uint8Array(this.memory.buffer, failureAddress, length).slice())
      this.#kernels.delete(running.run.kernel)
      running.run.reject(new FoveaError('device', 'wasm.run', `${running.run.kernel.name} failed: ${text}`))
    }
    this.#startNext()
  }

  #prepareScratch(bytes: number): void {
    // workers' pieces start on lines of their own, and not on the same sets of their caches
    const stride = Math.ceil(bytes / 4096) * 4096 + 320
    if (this.#scratch.stride >= stride) return
    if (this.#scratch.pointer !== 0) this.#allocator.free(this.#scratch.pointer)
    this.#scratch = { pointer: 0, stride: 0 }
    this.#scratch = { pointer: this.#allocator.allocate(stride * this.threads), stride }
  }
}
