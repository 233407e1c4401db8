import { FoveaError } from '../../ir/error.ts'
import type { WasmKernel } from '../compile-program.ts'
import type { KernelArgument } from '../emit/kernel-frame.ts'
import type { WasmBuild, WasmPool } from '../wasm-pool.ts'
import { frameAddress, heapAddress } from './control-block.ts'
import { packArguments } from './kernel-run.ts'
import { MemoryAllocator } from './memory-allocator.ts'
import { warmUpCalls } from './worker-source.ts'

type Tile = (frame: number, scratch: number, x: number, y: number, z: number) => void

/** the calling thread is given back for a moment after this long */
const sliceMilliseconds = 30

/** The pool of one: kernels run on the calling thread, in slices, over a memory of their own. */
export class SinglePool implements WasmPool {
  readonly memory: WebAssembly.Memory
  readonly threads = 1
  readonly relaxed: boolean
  readonly wide: boolean
  readonly #allocator: MemoryAllocator
  readonly #tiles = new WeakMap<WasmKernel, Tile>()
  #last: Promise<unknown> = Promise.resolve()
  #scratch = { pointer: 0, bytes: 0 }
  #disposed = false

  constructor(memory: WebAssembly.Memory, build: WasmBuild, maxBytes: number) {
    this.memory = memory
    this.relaxed = build.relaxed
    this.wide = build.wide
    this.#allocator = new MemoryAllocator(memory, heapAddress, maxBytes)
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
    const turn = this.#last.then(() => this.#runAll(kernel, frame, grid, total))
    this.#last = turn.catch(() => {})
    await turn
  }

  dispose(): void {
    this.#disposed = true
  }

  async #runAll(
    kernel: WasmKernel,
    frame: Uint8Array,
    grid: readonly [number, number, number],
    total: number,
  ): Promise<void> {
    this.#assertOpen('wasm.run')
    if (total === 0) return
    const guarded = <T>(work: () => T): T => {
      try {
        return work()
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause)
        throw new FoveaError('device', 'wasm.run', `${kernel.name} failed: ${text}`, { cause })
      }
    }
    const tile = this.#tiles.get(kernel) ?? guarded(() => this.#instantiate(kernel))
    if (this.#scratch.bytes < kernel.scratchBytes) {
      if (this.#scratch.pointer !== 0) this.#allocator.free(this.#scratch.pointer)
      this.#scratch = { pointer: 0, bytes: 0 }
      this.#scratch = { pointer: this.#allocator.allocate(kernel.scratchBytes), bytes: kernel.scratchBytes }
    }
    new Uint8Array(this.memory.buffer, frameAddress, frame.length).set(frame)
    const [gridX, gridY] = grid
    let start = performance.now()
    for (let next = 0; next < total; next++) {
      const row = Math.floor(next / gridX)
      guarded(() => tile(frameAddress, this.#scratch.pointer, next % gridX, row % gridY, Math.floor(row / gridY)))
      if (performance.now() - start < sliceMilliseconds) continue
      await new Promise((resolve) => setTimeout(resolve, 0))
      this.#assertOpen('wasm.run')
      start = performance.now()
    }
  }

  #instantiate(kernel: WasmKernel): Tile {
    const module = new WebAssembly.Module(kernel.encode(false))
    const tile = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports.tile as Tile
    for (let call = 0; call < warmUpCalls; call++) tile(0, 0, 0, 0, 0)
    this.#tiles.set(kernel, tile)
    return tile
  }

  #assertOpen(where: string): void {
    if (this.#disposed) throw new FoveaError('disposed', where, 'the pool was disposed')
  }
}
