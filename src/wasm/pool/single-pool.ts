import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import type { KernelArgument } from '../emit/kernel-frame.ts'
import type { Done, PoolCall, PoolRecording, WasmBuild, WasmPool } from '../wasm-pool.ts'
import { heapAddress, ringAddress } from './control-block.ts'
import { MemoryAllocator } from './memory-allocator.ts'
import { packArguments } from './pack-arguments.ts'
import { warmUpCalls } from './worker-source.ts'

type Tile = (frame: number, scratch: number, x: number, y: number, z: number) => void

interface Packed extends PoolCall {
  readonly frame: Uint8Array
  readonly total: number
}

/** the calling thread is given back for a moment after this long */
const sliceMilliseconds = 30
/** where the arguments of the kernel in turn lie */
const frameAddress = ringAddress

/** The pool of one: kernels run on the calling thread, in slices, over a memory of their own. */
export class SinglePool implements WasmPool {
  readonly memory: WebAssembly.Memory
  readonly threads = 1
  readonly relaxed: boolean
  readonly wide: boolean
  readonly notes: readonly string[]
  readonly #allocator: MemoryAllocator
  readonly #tiles = new WeakMap<WasmKernel, Tile>()
  readonly #queue: { readonly kernels: readonly Packed[]; readonly done: Done }[] = []
  #working = false
  #sliceStart = 0
  #sliceOpen = false
  #scratch = { pointer: 0, bytes: 0 }
  #disposed: FoveaError | null = null

  constructor(memory: WebAssembly.Memory, build: WasmBuild, maxBytes: number, notes: readonly string[] = []) {
    this.memory = memory
    this.relaxed = build.relaxed
    this.wide = build.wide
    this.notes = notes
    this.#allocator = new MemoryAllocator(memory, heapAddress, maxBytes)
  }

  allocate(bytes: number): number {
    this.#assertOpen('wasm.allocate')
    return this.#allocator.allocate(bytes)
  }

  free(pointer: number): void {
    this.#allocator.free(pointer)
  }

  enqueue(call: PoolCall, done: Done): void {
    this.record([call]).enqueue(done)
  }

  record(calls: readonly PoolCall[]): PoolRecording {
    this.#assertOpen('wasm.run')
    const kernels = calls.map((call) => ({ ...call, ...packArguments(call) })).filter(({ total }) => total > 0)
    const scratchBytes = Math.max(0, ...kernels.map(({ kernel }) => kernel.scratchBytes))
    return {
      enqueue: (done) => {
        this.#assertOpen('wasm.run')
        this.#reserveScratch(scratchBytes)
        this.#queue.push({ kernels, done })
        if (this.#working) return
        this.#working = true
        queueMicrotask(() => void this.#work())
      },
      dispose: () => {},
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

  poll(): void {}

  forget(kernel: WasmKernel): void {
    this.#tiles.delete(kernel)
  }

  dispose(): void {
    if (this.#disposed) return
    const error = new FoveaError('disposed', 'wasm.run', 'the pool was disposed')
    this.#disposed = error
    for (const { done } of this.#queue.splice(0)) done(error)
  }

  async #work(): Promise<void> {
    this.#openSlice()
    for (let turn = this.#queue[0]; turn; turn = this.#queue[0]) {
      let error: FoveaError | null = null
      try {
        for (const packed of turn.kernels) await this.#runKernel(packed)
      } catch (cause) {
        error = cause as FoveaError
      }
      // everything was failed by dispose meanwhile
      if (this.#disposed) return
      this.#queue.shift()
      turn.done(error)
    }
    this.#working = false
  }

  async #runKernel({ kernel, frame, grid, total }: Packed): Promise<void> {
    const tile = this.#tiles.get(kernel) ?? guarded(kernel, () => this.#instantiate(kernel))
    const [gridX, gridY] = grid
    let next = 0
    while (next < total && !this.#disposed) {
      new Uint8Array(this.memory.buffer, frameAddress, frame.length).set(frame)
      const { pointer } = this.#scratch
      guarded(kernel, () => {
        for (; next < total; next++) {
          const row = Math.floor(next / gridX)
          tile(frameAddress, pointer, next % gridX, row % gridY, Math.floor(row / gridY))
          if (performance.now() - this.#sliceStart < sliceMilliseconds) continue
          next++
          break
        }
      })
      if (performance.now() - this.#sliceStart < sliceMilliseconds) continue
      await new Promise((resolve) => setTimeout(resolve, 0))
      this.#openSlice()
    }
  }

  /** A slice begins when others have had the thread: who awaits a run and enqueues the next goes on with the same one. */
  #openSlice(): void {
    if (this.#sliceOpen) return
    this.#sliceOpen = true
    this.#sliceStart = performance.now()
    setTimeout(() => {
      this.#sliceOpen = false
    }, 0)
  }

  #reserveScratch(bytes: number): void {
    if (this.#scratch.bytes >= bytes) return
    const outgrown = this.#scratch
    const free = () => outgrown.pointer !== 0 && this.#allocator.free(outgrown.pointer)
    // what is queued still needs it when there is no room for more
    if (this.#queue.length > 0) {
      this.#scratch = { pointer: this.#allocator.allocate(bytes), bytes }
      free()
      return
    }
    this.#scratch = { pointer: 0, bytes: 0 }
    free()
    this.#scratch = { pointer: this.#allocator.allocate(bytes), bytes }
  }

  #instantiate(kernel: WasmKernel): Tile {
    const module = new WebAssembly.Module(kernel.encode(false))
    const tile = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports.tile as Tile
    for (let call = 0; call < warmUpCalls; call++) tile(0, 0, 0, 0, 0)
    this.#tiles.set(kernel, tile)
    return tile
  }

  #assertOpen(where: string): void {
    if (this.#disposed) throw new FoveaError('disposed', where, this.#disposed.message.slice('wasm.run: '.length))
  }
}

/** `work`, whose traps are reported under the kernel's name. */
function guarded<T>(kernel: WasmKernel, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new FoveaError('device', 'wasm.run', `${kernel.name} failed: ${text}`, { cause })
  }
}
