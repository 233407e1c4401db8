import type { Device, Recording, Tensor } from '../../src/device/index.ts'
import { type Kernel, storageBytes } from '../../src/tile/index.ts'

/** Kernels of a step that are alike: one program on tensors of one shape. */
export interface StepPart {
  /** "linear 2048 → 8192" */
  readonly name: string
  /** kernels of it in a step */
  readonly count: number
  /** rows that a linear layer takes, else 0 */
  readonly rows: number
  /** bytes of weights that they read together, for linear layers; else null */
  readonly weightBytes: number | null
  /** enqueues all of them */
  run(): void
  dispose(): void
}

interface Captured {
  readonly kernel: Kernel
  readonly tensors: Readonly<Record<string, Tensor>>
}

/** Does `work`, which records a step for the first time, and gives the step's kernels by kind, in the order of their first. */
export async function captureStepParts(device: Device, work: () => void | Promise<void>): Promise<StepPart[]> {
  const captured = await captureKernels(device, work)
  const groups = new Map<string, Captured[]>()
  for (const each of captured) groups.set(partName(each), [...(groups.get(partName(each)) ?? []), each])
  return [...groups].map(([name, kernels]) => {
    const recording: Recording = device.record(() => {
      for (const { kernel, tensors } of kernels) device.run(kernel, tensors)
    })
    const weights = name.startsWith('linear')
      ? kernels.reduce((sum, { tensors }) => sum + weightBytes(tensors), 0)
      : null
    const [rows = 0] = name.startsWith('linear') ? (kernels[0]?.tensors.x?.shape ?? []) : []
    for (const { tensors } of kernels) for (const tensor of Object.values(tensors)) tensor.dispose()
    return {
      name,
      count: kernels.length,
      rows,
      weightBytes: weights,
      run: () => recording.run(),
      dispose: () => recording.dispose(),
    }
  })
}

const viewOf = (tensor: Tensor) => tensor.view({ shape: tensor.shape, strides: tensor.strides, offset: tensor.offset })

/** What `device.run` is given meanwhile, its tensors held by views of their own. */
async function captureKernels(device: Device, work: () => void | Promise<void>): Promise<Captured[]> {
  const captured: Captured[] = []
  const run = device.run
  const hooked = (kernel: Kernel, tensors: Readonly<Record<string, Tensor>>) => {
    const held = Object.entries(tensors).map(([name, tensor]) => [name, viewOf(tensor)] as const)
    captured.push({ kernel, tensors: Object.fromEntries(held) })
    run.call(device, kernel, tensors)
  }
  // the method of this device alone, over that of its class
  Object.defineProperty(device, 'run', { value: hooked, configurable: true })
  try {
    await work()
  } finally {
    Reflect.deleteProperty(device, 'run')
  }
  return captured
}

function partName({ kernel, tensors }: Captured): string {
  const { name } = kernel.program
  const { a, b, x, output } = tensors
  if (name === 'matmul' && a && b && output) return `matmul ${shapeOf(a)} · ${shapeOf(b)} → ${shapeOf(output)}`
  if (!name.startsWith('linear') || !x || !output) return name
  const [rows = 1] = x.shape
  const [, outputs = 0] = output.shape
  const inputs = x.size / rows
  const elements = weightElements(tensors)
  return `linear ${inputs} → ${elements >= 2 * inputs * outputs ? `2 × ${outputs}` : outputs}`
}

function shapeOf({ shape }: Tensor): string {
  return shape.join('×')
}

function weightElements(tensors: Readonly<Record<string, Tensor>>): number {
  return weightsOf(tensors).reduce((most, { size }) => Math.max(most, size), 0)
}

function weightBytes(tensors: Readonly<Record<string, Tensor>>): number {
  return weightsOf(tensors).reduce((sum, { size, dtype }) => sum + size * storageBytes[dtype], 0)
}

function weightsOf(tensors: Readonly<Record<string, Tensor>>): Tensor[] {
  return Object.entries(tensors).flatMap(([name, tensor]) => (name === 'x' || name === 'output' ? [] : [tensor]))
}
