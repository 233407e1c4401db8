// Runs in the page: what the platform gives to the engine.

export interface AdapterReport {
  readonly description: string
  readonly architecture: string
  readonly features: readonly string[]
  readonly sum: readonly number[]
}

/** Adds one to each number on `navigator.gpu`, and says whose adapter did it. */
export async function addOneOnWebGpu(numbers: readonly number[]): Promise<AdapterReport> {
  const adapter = await navigator.gpu.requestAdapter()
  if (!adapter) throw new Error('navigator.gpu has no adapter')
  const device = await adapter.requestDevice()
  const code = `@group(0) @binding(0) var<storage, read_write> data: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&data)) { data[id.x] += 1; }
    }`
  const size = numbers.length * 4
  const buffer = device.createBuffer({
    size,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  })
  device.queue.writeBuffer(buffer, 0, new Float32Array(numbers))
  const module = device.createShaderModule({ code })
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } })
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: buffer }],
  })
  const readback = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, bindGroup)
  pass.dispatchWorkgroups(Math.ceil(numbers.length / 64))
  pass.end()
  encoder.copyBufferToBuffer(buffer, 0, readback, 0, size)
  device.queue.submit([encoder.finish()])
  await readback.mapAsync(GPUMapMode.READ)
  const sum = [...new Float32Array(readback.getMappedRange())]
  const { description, architecture } = adapter.info
  return { description, architecture, features: [...adapter.features].sort(), sum }
}

/** A Web Worker adds `numbers` through shared memory and wakes the page with `Atomics.notify`. */
export async function sumInWorker(numbers: readonly number[]): Promise<{ isolated: boolean; sum: number }> {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
  const cells = new Int32Array(memory.buffer)
  cells.set(numbers, 2)
  const source = `onmessage = ({ data: { buffer, count } }) => {
    const cells = new Int32Array(buffer)
    for (let i = 0; i < count; i++) Atomics.add(cells, 1, cells[2 + i])
    Atomics.store(cells, 0, 1)
    Atomics.notify(cells, 0)
  }`
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
  const failed = new Promise<never>((_, reject) => {
    worker.onerror = (event) => reject(new Error(event.message))
  })
  worker.postMessage({ buffer: memory.buffer, count: numbers.length })
  await Promise.race([Atomics.waitAsync(cells, 0, 0).value, failed])
  worker.terminate()
  return { isolated: crossOriginIsolated, sum: Atomics.load(cells, 1) }
}

/** Whether the engine accepts this WebAssembly module. */
export function validates(bytes: readonly number[]): boolean {
  return WebAssembly.validate(new Uint8Array(bytes))
}

/** Fails in the page, to show that it is seen outside. */
export function fail(message: string): never {
  throw new RangeError(message)
}
