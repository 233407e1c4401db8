import { FoveaError } from '../ir/error.ts'
import { findVulkanDrivers, gpuDeviceFile, type VulkanDriver, type VulkanDrivers } from './vulkan-drivers.ts'
import { probePlatform } from './webgpu-platform.ts'

/**
 * Why this machine has the WebGPU adapters that it has, or none, in lines for people: the drivers found and who chose them,
 * what they and Dawn wrote when a process of its own asked for an adapter, and what to do. Empty where there is nothing to
 * say: off Linux, which has one driver for each GPU, or where no process may be started.
 */
export async function explainWebgpu(): Promise<readonly string[]> {
  const request = { powerPreference: 'high-performance' } as const
  let probe: Awaited<ReturnType<typeof probePlatform>>
  try {
    probe = await probePlatform('fovea devices', {}, request)
  } catch (error) {
    if (error instanceof FoveaError) return ['do this: npm install webgpu']
    throw error
  }
  if (process.platform !== 'linux') return []
  const found = findVulkanDrivers()
  // where in Dawn's sources a line was written is for its authors
  const said = (probe?.lines ?? []).filter((line) => !/^\s+at /.test(line)).map((line) => `  ${line.trim()}`)
  const lines = [
    ...driverLines(found),
    ...(said.length > 0 ? ['drivers and Dawn, WebGPU in Node, said:', ...said] : []),
  ]
  return probe?.adapter === null ? [...lines, `do this: ${adviceFor(found, said.join('\n'))}`] : lines
}

function driverLines({ drivers, chosenBy }: VulkanDrivers): string[] {
  const where = chosenBy === null ? 'in the folders of the system' : `chosen by ${chosenBy}`
  if (drivers.length === 0) return [`no Vulkan driver ${where}`]
  return [`Vulkan drivers ${where}:`, ...drivers.map((driver) => `  ${driver.manifest}${stateOf(driver)}`)]
}

function stateOf({ manifest, missing, lacks }: VulkanDriver): string {
  if (missing !== null)
    return missing === manifest ? ': there is no such file' : `: its library ${missing} is not there`
  return lacks === null ? '' : `: ${lacks}`
}

function adviceFor({ drivers, chosenBy }: VulkanDrivers, said: string): string {
  const gpu = gpuDeviceFile()
  const present = drivers.filter(({ missing }) => missing === null)
  if (/Couldn't load Vulkan/.test(said)) return "install Vulkan's loader (Debian: apt-get install libvulkan1)"
  if (chosenBy !== null && present.length === 0) return `let ${chosenBy} name the manifest of a driver, or unset it`
  if (chosenBy !== null) return `unset ${chosenBy} to use the drivers of the system, or name one that Dawn takes`
  if (gpu === null)
    return 'nothing, on a machine without a GPU: WebAssembly is used. In a container, hand on its device (/dev/dri, /dev/nvidia*)'
  if (present.length === 0) return `install the Vulkan driver of the GPU behind ${gpu}`
  return `update the Vulkan driver of the GPU behind ${gpu}; may this user open that file?`
}
