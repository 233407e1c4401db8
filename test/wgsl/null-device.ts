/** Dawn's null backend: compiles WGSL with f16 and subgroup matrices, and runs nothing. Kept by the global object, as Dawn needs. */
export async function openNullDevice(): Promise<GPUDevice> {
  const { create, globals } = await import('webgpu')
  Object.assign(globalThis, globals)
  const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis'])
  Object.assign(globalThis, { nullGpu: gpu })
  const adapter = await gpu.requestAdapter()
  const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[]
  const device = await adapter?.requestDevice({ requiredFeatures: features })
  if (!device) throw new Error('the null backend gave no device')
  return device
}

/** What the compiler finds wrong with a shader, each message with its line. */
export async function shaderErrors(device: GPUDevice, code: string): Promise<string[]> {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code })
  const { messages } = await module.getCompilationInfo()
  const failed = await device.popErrorScope()
  const lines = code.split('\n')
  const errors = messages.map((m) => `${m.type} ${m.lineNum}: ${m.message} in ${lines[m.lineNum - 1]}`)
  return failed && errors.length === 0 ? [failed.message] : errors
}
