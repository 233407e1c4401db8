import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { TestProject } from 'vitest/node'

const chromium = '/usr/bin/chromium'
const vulkanLoaders = [
  '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
  '/usr/lib/aarch64-linux-gnu/libvulkan.so.1',
  '/usr/lib64/libvulkan.so.1',
]

/**
 * Vitest global setup. The tests need Chromium twice: as the browser, and for its SwiftShader, which is the Vulkan
 * driver of WebGPU in Node on a machine with no GPU. Dawn loads that driver through the system's Vulkan loader.
 * Installs what is missing when it can (Debian, root) and otherwise throws, saying what to install.
 */
export function setup(project: TestProject): void {
  if (process.platform !== 'linux') return
  if (namesVulkanDriver() && project.name !== 'browser') return
  const missing: string[] = []
  if (!existsSync(chromium)) missing.push('chromium')
  if (!vulkanLoaders.some((path) => existsSync(path))) missing.push('libvulkan1')
  if (missing.length === 0) return

  const packages = missing.join(' ')
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    throw new Error(`the tests need ${packages}: install with \`sudo apt-get install -y ${packages}\``)
  console.log(`installing ${packages} (the tests need a browser and its Vulkan driver)`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) {
    const { status, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' })
    if (status !== 0) throw new Error(`apt-get ${args.join(' ')} failed:\n${stdout}${stderr}`)
  }
}

/** Whether this machine names its own Vulkan driver, in the variables that the Vulkan loader reads. */
export function namesVulkanDriver(): boolean {
  return Boolean(process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES)
}
