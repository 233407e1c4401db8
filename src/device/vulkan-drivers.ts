import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'

/** A Vulkan driver as its manifest names it. */
export interface VulkanDriver {
  readonly manifest: string
  /** `missing`: the manifest, or the library that it names, is not there */
  readonly missing: string | null
  /** why it has no GPU, where that can be told without asking it */
  readonly lacks: 'computes on the CPU' | 'there is no GPU for it (/dev/dri/renderD*)' | null
}

/** The drivers that Linux's Vulkan loader would read, and the variables that chose them. */
export interface VulkanDrivers {
  readonly drivers: readonly VulkanDriver[]
  /** such as `VK_DRIVER_FILES`; null: all of the system's folders are searched */
  readonly chosenBy: string | null
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What the loader finds by its documented search: the files that VK_DRIVER_FILES (once VK_ICD_FILENAMES) lists, else
 * those of VK_ADD_DRIVER_FILES and of the folders vulkan/icd.d under the configuration and data folders of XDG.
 */
export function findVulkanDrivers(env: Environment = process.env): VulkanDrivers {
  const chosenBy = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].find((name) => env[name]) ?? null
  if (chosenBy !== null) return { chosenBy, drivers: manifestsOf(split(env[chosenBy])).map(readDriver) }
  const home = env.HOME ?? ''
  const folders = [
    env.XDG_CONFIG_HOME || join(home, '.config'),
    ...split(env.XDG_CONFIG_DIRS || '/etc/xdg'),
    '/usr/local/etc',
    '/etc',
    env.XDG_DATA_HOME || join(home, '.local/share'),
    ...split(env.XDG_DATA_DIRS || '/usr/local/share:/usr/share'),
    '/run/opengl-driver/share',
  ]
  const searched = [...new Set(folders)].map((folder) => join(folder, 'vulkan/icd.d'))
  const drivers = manifestsOf([...split(env.VK_ADD_DRIVER_FILES), ...searched]).map(readDriver)
  return { chosenBy: env.VK_ADD_DRIVER_FILES ? 'VK_ADD_DRIVER_FILES' : null, drivers }
}

/** The device file of a GPU, or null. NVIDIA's may appear only when its driver is first used. */
export function gpuDeviceFile(): string | null {
  const node = listed('/dev/dri').find((name) => name.startsWith('renderD'))
  if (node !== undefined) return `/dev/dri/${node}`
  return deviceFiles.find((path) => existsSync(path)) ?? null
}

/** The device file of NVIDIA's own driver, on WSL of DirectX; null where there is neither. */
export function nvidiaDeviceFile(): string | null {
  return deviceFiles.slice(0, 3).find((path) => existsSync(path)) ?? null
}

const deviceFiles = [
  '/dev/nvidiactl',
  '/dev/nvidia0',
  '/dev/dxg',
  '/dev/nvhost-ctrl-gpu',
  '/dev/mali0',
  '/dev/kgsl-3d0',
]

/** drivers that compute on the CPU */
const software = /^(lvp|vk_swiftshader)_icd/
/** drivers of Mesa that reach hardware through a render node only */
const needRenderNode = /^(intel|intel_hasvk|radeon|nouveau|asahi|broadcom|panfrost|powervr_mesa|virtio)_icd/

function readDriver(manifest: string): VulkanDriver {
  const name = basename(manifest)
  const hasNode = gpuDeviceFile() !== null
  const noNode = needRenderNode.test(name) && !hasNode ? 'there is no GPU for it (/dev/dri/renderD*)' : null
  return { manifest, missing: missingOf(manifest), lacks: software.test(name) ? 'computes on the CPU' : noNode }
}

function missingOf(manifest: string): string | null {
  if (!existsSync(manifest)) return manifest
  try {
    const { ICD } = JSON.parse(readFileSync(manifest, 'utf8')) as { ICD?: { library_path?: string } }
    const library = ICD?.library_path ?? ''
    // a bare name is looked up by the dynamic linker
    if (!library.includes('/')) return null
    const path = isAbsolute(library) ? library : resolve(dirname(manifest), library)
    return existsSync(path) ? null : path
  } catch {
    // what cannot be read here is the loader's to judge
    return null
  }
}

/** Files as they are; of folders the manifests in them. */
function manifestsOf(places: readonly string[]): string[] {
  const files = places.flatMap((place) =>
    place.endsWith('.json')
      ? [place]
      : listed(place).flatMap((name) => (name.endsWith('.json') ? join(place, name) : [])),
  )
  return [...new Set(files)]
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

const split = (list: string | undefined) => (list ?? '').split(':').filter((each) => each !== '')
