import { interpret } from '../../src/interpret/interpret.ts'
import { bindArray, type TensorBinding } from '../../src/interpret/tensor-binding.ts'
import { type StorageDType, storageBytes } from '../../src/ir/dtype.ts'
import { fromBfloatBits, fromHalfBits, toBfloatBits, toHalfBits } from '../../src/ir/narrow-float.ts'
import type { Program } from '../../src/ir/schedule.ts'
import { contiguousStrides } from '../../src/ir/tensor-spec.ts'
import { compileProgram } from '../../src/wasm/compile-program.ts'
import { type KernelArgument, writeFrame } from '../../src/wasm/emit/kernel-frame.ts'
import { probeFeatures } from '../../src/wasm/pool.ts'

/** A tensor of a test: its values row by row, or the shape of an output. */
export interface TestTensor {
  readonly dtype: StorageDType
  readonly shape: readonly number[]
  readonly data?: readonly number[]
  readonly strides?: readonly number[]
  readonly offset?: number
}

export interface TestRun {
  readonly tensors: Readonly<Record<string, TestTensor>>
  readonly scalars?: Readonly<Record<string, number>>
  readonly grid?: readonly [number, number, number]
}

/** The builds to test here: plain SIMD, relaxed SIMD where the engine has it, and the wide micro-kernels. */
export const builds = [
  { name: 'plain', relaxed: false, wide: false },
  ...(probeFeatures().relaxed ? [{ name: 'relaxed', relaxed: true, wide: false }] : []),
  { name: 'wide', relaxed: false, wide: true },
  ...(probeFeatures().relaxed ? [{ name: 'wide relaxed', relaxed: true, wide: true }] : []),
]

const guard = 0x7fc1_dead

/** Runs a program compiled to WebAssembly on this thread: the tensors without data, by name. Memory around them is checked. */
export function runOnWasm(
  program: Program,
  run: TestRun,
  options: { relaxed: boolean; wide: boolean },
): Record<string, number[]> {
  const kernel = compileProgram(program, options)
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 })
  new Uint32Array(memory.buffer).fill(guard)
  const view = new DataView(memory.buffer)
  let top = 65536
  const places = new Map<string, number>()
  const extent = (tensor: TestTensor) =>
    (tensor.offset ?? 0) + (tensor.data ? tensor.data.length : tensor.shape.reduce((n, size) => n * size, 1))
  const args = program.params.map((param): KernelArgument => {
    if (param.kind === 'scalar') return { kind: 'scalar', value: run.scalars?.[param.name] as number }
    const tensor = run.tensors[param.name] as TestTensor
    const pointer = top
    places.set(param.name, pointer)
    tensor.data?.forEach((value, index) => {
      write(view, tensor.dtype, pointer + index * storageBytes[tensor.dtype], value)
    })
    top = Math.ceil((top + extent(tensor) * storageBytes[tensor.dtype]) / 64) * 64 + 64
    return {
      kind: 'tensor',
      pointer,
      shape: tensor.shape,
      strides: tensor.strides ?? contiguousStrides(tensor.shape),
      offset: tensor.offset ?? 0,
    }
  })
  const scratch = Math.ceil(top / 65536) * 65536
  if (scratch + kernel.scratchBytes > memory.buffer.byteLength)
    throw new RangeError('kernel-runner: the test memory is too small')
  writeFrame(program.name, kernel.frame, args, view, 1024)
  const module = new WebAssembly.Module(kernel.encode(false))
  const { tile } = new WebAssembly.Instance(module, { env: { memory } }).exports as {
    tile: (...values: number[]) => void
  }
  const [gridX, gridY, gridZ] = run.grid ?? [1, 1, 1]
  for (let z = 0; z < gridZ; z++)
    for (let y = 0; y < gridY; y++) for (let x = 0; x < gridX; x++) tile(1024, scratch, x, y, z)

  const outputs: Record<string, number[]> = {}
  for (const param of program.params) {
    if (param.kind === 'scalar') continue
    const tensor = run.tensors[param.name] as TestTensor
    const start = places.get(param.name) as number
    const width = storageBytes[param.dtype]
    const end = start + extent(tensor) * width
    for (let at = Math.ceil(end / 4) * 4; at < end + 60; at += 4)
      if (view.getUint32(at, true) !== guard)
        throw new Error(`kernel-runner: ${param.name} was written beyond its end (${at - end} bytes)`)
    for (let at = start - 4; at >= start - 32; at -= 4)
      if (view.getUint32(at, true) !== guard && places.size === 1)
        throw new Error(`kernel-runner: ${param.name} was written before its start`)
    if (param.access === 'read') continue
    outputs[param.name] = Array.from({ length: extent(tensor) }, (_, index) =>
      read(view, param.dtype, start + index * width),
    )
  }
  for (
    let at = scratch + kernel.scratchBytes;
    at < scratch + kernel.scratchBytes + 256 && at + 4 <= memory.buffer.byteLength;
    at += 4
  )
    if (view.getUint32(at, true) !== guard) throw new Error('kernel-runner: the scratch was written beyond its end')
  return outputs
}

/** The same by the interpreter, in float64; what nothing is stored to is NaN. */
export function runOnInterpreter(program: Program, run: TestRun): Record<string, number[]> {
  const bound: Record<string, TensorBinding> = {}
  const outputs: Record<string, number[]> = {}
  for (const [name, tensor] of Object.entries(run.tensors)) {
    const data = [
      ...(tensor.data ??
        Array<number>(tensor.shape.reduce((n, size) => n * size, tensor.offset ?? 0) || 0).fill(Number.NaN)),
    ]
    const rounded = tensor.data ? data.map((value) => stored(tensor.dtype, value)) : data
    bound[name] = bindArray(rounded, tensor)
    if (!tensor.data) outputs[name] = rounded
  }
  interpret(program, { tensors: bound, scalars: run.scalars ?? {} }, run.grid ?? [1, 1, 1])
  for (const [name, data] of Object.entries(outputs)) {
    const dtype = run.tensors[name]?.dtype as StorageDType
    if (dtype.includes('f')) outputs[name] = data.map((value) => stored(dtype, value))
  }
  return outputs
}

/** What a storage dtype keeps of a value. */
export function stored(dtype: StorageDType, value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  write(view, dtype, 0, value)
  return read(view, dtype, 0)
}

function write(view: DataView, dtype: StorageDType, at: number, value: number): void {
  if (dtype === 'f32') view.setFloat32(at, value, true)
  else if (dtype === 'f16') view.setUint16(at, toHalfBits(value), true)
  else if (dtype === 'bf16') view.setUint16(at, toBfloatBits(value), true)
  else if (dtype === 'i8' || dtype === 'u8') view.setUint8(at, value)
  else view.setUint32(at, value, true)
}

function read(view: DataView, dtype: StorageDType, at: number): number {
  switch (dtype) {
    case 'f32':
      return view.getFloat32(at, true)
    case 'f16':
      return fromHalfBits(view.getUint16(at, true))
    case 'bf16':
      return fromBfloatBits(view.getUint16(at, true))
    case 'i32':
      return view.getInt32(at, true)
    case 'u32':
      return view.getUint32(at, true)
    case 'i8':
      return view.getInt8(at)
    case 'u8':
      return view.getUint8(at)
    default:
      return dtype satisfies never
  }
}
