import type { Device } from '../../src/device/index.ts'
import { colRange, defineProgram, type Kernel, load, rowRange, store } from '../../src/tile/index.ts'
import { interleavedTimes } from './interleaved-times.ts'

export interface CopyBandwidth {
  /** bytes read and written per second, in GB/s */
  readonly kernel: number
  readonly buffer: number
}

const tile = { rows: 32, cols: 128 }

/** What the device copies, by a kernel of the tile language and by its own buffer copy; `bytes` are copied each time. */
export async function copyBandwidth(device: Device, gpu: GPUDevice, bytes: number): Promise<CopyBandwidth> {
  return { kernel: await kernelBandwidth(device, bytes), buffer: await bufferCopy(gpu, copySize(bytes).bytes) }
}

/** What a kernel of the tile language copies, on any device. */
export async function kernelBandwidth(device: Device, bytes: number): Promise<number> {
  const { rows, bytes: copied } = copySize(bytes)
  const [from, to] = [device.zeros([rows, tile.cols]), device.empty([rows, tile.cols])]
  const kernel = copyKernel(rows)
  const [times] = await interleavedTimes(device, [() => device.run(kernel, { from, to })])
  from.dispose()
  to.dispose()
  return (2 * copied) / times!.medianMs / 1e6
}

function copySize(bytes: number): { rows: number; bytes: number } {
  const rows = Math.ceil(bytes / 4 / tile.cols / tile.rows) * tile.rows
  return { rows, bytes: rows * tile.cols * 4 }
}

function copyKernel(rows: number): Kernel {
  const program = defineProgram('copy', (p) => {
    const from = p.input('from', 'f32', [null, tile.cols], { alignment: 4 })
    const to = p.output('to', 'f32', [null, tile.cols], { alignment: 4 })
    const row = rowRange(p.programId(1).mul(1024).add(p.programId(0)).mul(tile.rows), tile.rows)
    const col = colRange(0, tile.cols)
    p.emit(store(to, [row, col], load(from, [row, col])))
  })
  // a device counts at most 65,535 programs along one axis
  return { program, grid: [1024, Math.ceil(rows / tile.rows / 1024), 1], scalars: {} }
}

async function bufferCopy(gpu: GPUDevice, bytes: number): Promise<number> {
  // the numbers of COPY_SRC and COPY_DST, which Node has no global for
  const usage = 4 | 8
  const [from, to] = [gpu.createBuffer({ size: bytes, usage }), gpu.createBuffer({ size: bytes, usage })]
  const seconds: number[] = []
  const copies = 50
  for (let round = -1; round < 7; round++) {
    const encoder = gpu.createCommandEncoder()
    for (let i = 0; i < copies; i++) encoder.copyBufferToBuffer(from, 0, to, 0, bytes)
    const commands = encoder.finish()
    const start = performance.now()
    gpu.queue.submit([commands])
    await gpu.queue.onSubmittedWorkDone()
    if (round >= 0) seconds.push((performance.now() - start) / 1000 / copies)
  }
  from.destroy()
  to.destroy()
  return (2 * bytes) / seconds.sort((a, b) => a - b)[seconds.length >> 1]! / 1e9
}
