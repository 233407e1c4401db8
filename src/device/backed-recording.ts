import { FoveaError } from '../ir/error.ts'
import type { Kernel } from '../tile/kernel.ts'
import { type BackedTensor, markWritten, releaseMemory, type SharedBlock } from './backed-tensor.ts'
import type { Backend, BackendCall, MemoryBlock, Recorded } from './backend.ts'
import { boundTensor } from './bind-kernel.ts'
import type { Device, Recording, Tensor } from './device.ts'

/** The calls made inside `Device.record`, and what they hold. */
export class Capture<Block extends MemoryBlock> {
  readonly calls: BackendCall<Block>[] = []
  readonly written = new Set<SharedBlock<Block>>()
  readonly #held = new Set<SharedBlock<Block>>()

  /** Keeps a call that was checked; its tensors are held until `release`. */
  add(call: BackendCall<Block>, kernel: Kernel, tensors: Readonly<Record<string, Tensor>>): void {
    for (const param of call.program.params) {
      if (param.kind === 'scalar') continue
      const { memory } = boundTensor(kernel, param, tensors) as BackedTensor<Block>
      if (param.access !== 'read') this.written.add(memory)
      if (this.#held.has(memory)) continue
      this.#held.add(memory)
      memory.holders++
    }
    this.calls.push(call)
  }

  release(): void {
    for (const memory of this.#held) releaseMemory(memory)
    this.#held.clear()
  }
}

/** A `Recording` of a `BackedDevice`. */
export class BackedRecording<Block extends MemoryBlock> implements Recording {
  readonly kernels: number
  readonly #device: Device
  readonly #backend: Backend<Block>
  readonly #capture: Capture<Block>
  readonly #recorded: Recorded | null
  readonly #written: readonly SharedBlock<Block>[]
  #disposed = false

  constructor(device: Device, backend: Backend<Block>, capture: Capture<Block>) {
    this.kernels = capture.calls.length
    this.#device = device
    this.#backend = backend
    this.#capture = capture
    this.#written = [...capture.written]
    this.#recorded = this.kernels === 0 ? null : backend.record('device.record', capture.calls)
  }

  get disposed(): boolean {
    return this.#disposed || this.#device.disposed
  }

  run(): void {
    const where = 'recording.run'
    this.#assertAlive(where)
    if (this.#device.recording)
      throw new FoveaError('argument', where, 'called inside the work of device.record, which holds kernels only')
    for (const memory of this.#written) markWritten(memory)
    this.#recorded?.run(where)
  }

  async prepare(): Promise<void> {
    const where = 'recording.prepare'
    this.#assertAlive(where)
    await this.#recorded?.prepare(where)
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    if (this.#device.disposed) return
    this.#recorded?.dispose()
    this.#capture.release()
  }

  #assertAlive(where: string): void {
    if (this.#device.disposed) throw new FoveaError('disposed', where, `the ${this.#device.kind} device was disposed`)
    if (this.#disposed) throw new FoveaError('disposed', where, `the recording of ${this.kernels} kernels was disposed`)
    this.#backend.assertUsable(where)
  }
}
