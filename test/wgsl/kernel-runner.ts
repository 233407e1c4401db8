import { interpret } from '../../src/interpret/interpret.ts'
import { bindArray } from '../../src/interpret/tensor-binding.ts'
import type { Program, StorageDType, TensorParam } from '../../src/ir/index.ts'
import { fromBfloatBits, fromHalfBits, storageBytes, toBfloatBits, toHalfBits } from '../../src/ir/index.ts'
import { contiguousStrides, type TensorSpec } from '../../src/ir/tensor-spec.ts'
import { lowerProgram, type Tier, type WgslKernel, type WgslTuning } from '../../src/wgsl/lower-program.ts'

/** A tensor argument: values of a dense buffer (offset included), and how the tensor lies in it. */
export interface TensorData {
  readonly values: readonly number[]
  readonly shape: readonly number[]
  readonly strides?: readonly number[]
  readonly offset?: number
}
export type Arguments = Readonly<Record<string, TensorData>>

export interface Gpu {
  readonly device: GPUDevice
  readonly info: GPUAdapterInfo
  readonly maxWorkgroupBytes: number
}

/** SwiftShader or a GPU through the `webgpu` package; kept alive by the global object, as Dawn needs. */
export async function openGpu(
  options: readonly string[] = ['enable-dawn-features=allow_unsafe_apis,disable_workgroup_init'],
): Promise<Gpu> {
  const { create, globals } = await import('webgpu')
  Object.assign(globalThis, globals)
  const keep = globalThis as { gpuOwners?: unknown[] }
  const gpu = create([...options])
  keep.gpuOwners = [...(keep.gpuOwners ?? []), gpu]
  const adapter = await gpu.requestAdapter()
  if (!adapter) throw new Error('no WebGPU adapter')
  const matrices = 'chromium-experimental-subgroup-matrix' as GPUFeatureName
  const wanted: GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query', matrices]
  const { limits } = adapter
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
    },
  })
  return { device, info: adapter.info, maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize }
}

export function lowerFor(
  gpu: Gpu,
  program: Program,
  tier: Tier,
  tuning: WgslTuning = {},
  maxWorkgroupBytes = gpu.maxWorkgroupBytes,
): WgslKernel {
  const info = gpu.info as GPUAdapterInfo & { subgroupMinSize: number; subgroupMaxSize: number }
  return lowerProgram(
    program,
    {
      tier,
      maxWorkgroupBytes,
      maxInvocations: 256,
      maxStorageBuffers: 12,
      subgroupMinSize: info.subgroupMinSize,
      subgroupMaxSize: info.subgroupMaxSize,
      subgroupMatrixConfigs: [],
    },
    tuning,
  )
}

/** The pipeline of a kernel, or an error with the offending line. */
export async function compile(device: GPUDevice, kernel: WgslKernel): Promise<GPUComputePipeline> {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code: kernel.code })
  const { messages } = await module.getCompilationInfo()
  const error = messages.find((message) => message.type === 'error')
  if (error) {
    await device.popErrorScope()
    const lines = kernel.code.split('\n')
    throw new Error(
      `${error.lineNum}: ${error.message}\n${lines.slice(Math.max(0, error.lineNum - 4), error.lineNum + 2).join('\n')}`,
    )
  }
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: kernel.entryPoint },
  })
  const failed = await device.popErrorScope()
  if (failed) throw new Error(failed.message)
  return pipeline
}

export function encode(dtype: StorageDType, values: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((values.length * storageBytes[dtype]) / 16) * 16)
  const { buffer } = bytes
  const arrays = {
    f32: Float32Array,
    i32: Int32Array,
    u32: Uint32Array,
    i8: Int8Array,
    u8: Uint8Array,
    f16: Uint16Array,
    bf16: Uint16Array,
  }
  const target = new arrays[dtype](buffer)
  values.forEach((value, at) => {
    target[at] = dtype === 'f16' ? toHalfBits(value) : dtype === 'bf16' ? toBfloatBits(value) : value
  })
  return bytes
}

export function decode(dtype: StorageDType, bytes: ArrayBuffer, length: number): number[] {
  const views = {
    f32: Float32Array,
    i32: Int32Array,
    u32: Uint32Array,
    i8: Int8Array,
    u8: Uint8Array,
    f16: Uint16Array,
    bf16: Uint16Array,
  }
  return Array.from(new views[dtype](bytes).subarray(0, length), (value) =>
    dtype === 'f16' ? fromHalfBits(value) : dtype === 'bf16' ? fromBfloatBits(value) : value,
  )
}

function specOf(param: TensorParam, data: TensorData): TensorSpec {
  return {
    dtype: param.dtype,
    shape: data.shape,
    strides: data.strides ?? contiguousStrides(data.shape),
    offset: data.offset ?? 0,
  }
}

const tensorsOf = (program: Program) => program.params.filter((param) => param.kind === 'tensor')
const scalarsOf = (program: Program) => program.params.filter((param) => param.kind === 'scalar')

/** Runs a kernel once, in the pipeline given or a new one; gives the whole buffers of the outputs. */
export async function runKernel(
  gpu: Gpu,
  program: Program,
  kernel: WgslKernel,
  grid: readonly [number, number, number],
  tensors: Arguments,
  scalars: Readonly<Record<string, number>> = {},
  compiled?: GPUComputePipeline,
): Promise<Record<string, number[]>> {
  const { device } = gpu
  const pipeline = compiled ?? (await compile(device, kernel))
  const buffers = tensorsOf(program).map((param) => {
    const bytes = encode(param.dtype, (tensors[param.name] as TensorData).values)
    const buffer = device.createBuffer({ size: Math.max(16, bytes.byteLength), usage: 0x80 | 8 | 4 })
    device.queue.writeBuffer(buffer, 0, bytes)
    return { param, buffer }
  })
  const packed = kernel.packArguments(
    tensorsOf(program).map((param) => specOf(param, tensors[param.name] as TensorData)),
    scalarsOf(program).map((param) => scalars[param.name] as number),
  )
  const args = device.createBuffer({ size: packed.byteLength, usage: 0x40 | 8 })
  device.queue.writeBuffer(args, 0, packed)
  const used = (binding: number) =>
    new RegExp(`@binding\\(${binding}\\) var<\\w+(?:, \\w+)?> (\\w+)`).exec(kernel.code)?.[1] as string
  const isUsed = (binding: number) => kernel.code.split(used(binding)).length > 2
  const entries = kernel.bindings
    .filter(({ binding }) => isUsed(binding))
    .map(({ param, binding }) => ({
      binding,
      resource: { buffer: buffers.find((b) => b.param === param)?.buffer as GPUBuffer },
    }))
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [...entries, { binding: kernel.argsBinding, resource: { buffer: args } }],
  })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, group)
  pass.dispatchWorkgroups(...grid)
  pass.end()
  const outputs = buffers.filter(({ param }) => param.access !== 'read')
  const copies = outputs.map(({ buffer }) => {
    const copy = device.createBuffer({ size: buffer.size, usage: 1 | 8 })
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size)
    return copy
  })
  device.queue.submit([encoder.finish()])
  const result: Record<string, number[]> = {}
  for (const [at, { param }] of outputs.entries()) {
    const copy = copies[at] as GPUBuffer
    await copy.mapAsync(1)
    result[param.name] = decode(
      param.dtype,
      copy.getMappedRange().slice(0),
      (tensors[param.name] as TensorData).values.length,
    )
    copy.destroy()
  }
  for (const { buffer } of buffers) buffer.destroy()
  args.destroy()
  return result
}

/** What the interpreter, rounding as the dtypes do, leaves in the outputs' buffers. */
export function runReference(
  program: Program,
  grid: readonly [number, number, number],
  tensors: Arguments,
  scalars: Readonly<Record<string, number>> = {},
): Record<string, number[]> {
  const result: Record<string, number[]> = {}
  const bindings: Record<string, ReturnType<typeof bindArray>> = {}
  for (const param of tensorsOf(program)) {
    const data = tensors[param.name] as TensorData
    const values = decode(param.dtype, encode(param.dtype, data.values).buffer, data.values.length)
    bindings[param.name] = bindArray(values, specOf(param, data))
    if (param.access !== 'read') result[param.name] = values
  }
  interpret(program, { tensors: bindings, scalars }, grid, 'real')
  return result
}
