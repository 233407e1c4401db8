import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const dist = join(import.meta.dirname, '..', '..', 'dist')
const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json'
const manifests = '/usr/share/vulkan/icd.d'
const lavapipe = existsSync(manifests) && readdirSync(manifests).find((name) => name.startsWith('lvp_icd'))

beforeAll(() => {
  if (!existsSync(dist)) throw new Error('nothing is built: npm run build')
})

/** A process without what chooses drivers here, in which no folder of Wayland is named. */
function run(args: readonly string[], variables: Record<string, string>) {
  const env = { ...process.env, ...variables }
  for (const name of ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'XDG_RUNTIME_DIR', 'NODE_OPTIONS'])
    if (!(name in variables)) delete env[name]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 50_000 })
  return { out: stdout, err: stderr, status }
}

/** What `openDevice(choice)` opens or says; the process checks that its environment is as it was. */
function open(choice: string, variables: Record<string, string>) {
  const program = `
    const { openDevice } = await import(${JSON.stringify(pathToFileURL(join(dist, 'index.js')).href)})
    const before = JSON.stringify(process.env)
    const opened = await openDevice(${choice}).then((device) => device.kind + ' ' + device.info.name, (error) => error.code + ' ' + error.message)
    console.log(opened)
    console.log(JSON.stringify(process.env) === before)
    process.exit(0)`
  const { out, err, status } = run(['--input-type=module', '-e', program], variables)
  const [opened, sameEnvironment] = out.trim().split('\n')
  return { opened, sameEnvironment, err, status }
}

const noAdapter = 'device openDevice: there is no WebGPU adapter on this machine: `fovea devices` says why'
const quiet = { sameEnvironment: 'true', err: '', status: 0 }

describe('a device is opened without a line on the standard error', () => {
  it.each(['/nowhere.json', '/dev/null', '/dev/null/driver.json'])('where the driver %s is none', (VK_DRIVER_FILES) => {
    expect(open('', { VK_DRIVER_FILES })).toEqual({ ...quiet, opened: expect.stringMatching(/^wasm /) })
    expect(open("'webgpu'", { VK_DRIVER_FILES })).toEqual({ ...quiet, opened: noAdapter })
  })

  it('where the driver is refused: lavapipe of Mesa before 23', (context) => {
    if (!lavapipe) return context.skip('hardware: lavapipe is not installed')
    const variables = { VK_DRIVER_FILES: join(manifests, lavapipe) }
    expect(open('', variables)).toEqual({ ...quiet, opened: expect.stringMatching(/^wasm /) })
    const { opened, ...rest } = open("'webgpu'", variables)
    expect(rest).toEqual(quiet)
    // a newer one is taken
    if (opened !== noAdapter) expect(opened).toMatch(/^webgpu .*llvmpipe/i)
  })

  it('with SwiftShader, by either name of the variable', () => {
    for (const name of ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']) {
      expect(open('', { [name]: swiftshader })).toEqual({ ...quiet, opened: expect.stringMatching(/^wasm /) })
      const swift = { ...quiet, opened: expect.stringMatching(/^webgpu .*swiftshader/i) }
      expect(open("'webgpu'", { [name]: swiftshader })).toEqual(swift)
      // a variable of the user's that is no folder is as it was afterwards
      expect(open("'webgpu'", { [name]: swiftshader, XDG_RUNTIME_DIR: 'nowhere' })).toEqual(swift)
    }
  })

  it('where one driver is refused and another serves', (context) => {
    if (!lavapipe) return context.skip('hardware: lavapipe is not installed')
    const { opened, ...rest } = open("'webgpu'", { VK_DRIVER_FILES: `${join(manifests, lavapipe)}:${swiftshader}` })
    expect(rest).toEqual(quiet)
    expect(opened).toMatch(/^webgpu .*(swiftshader|llvmpipe)/i)
  })

  it('with the drivers of the system', () => {
    const { opened, ...rest } = open('', {})
    expect(rest).toEqual(quiet)
    expect(opened).toMatch(/^(wasm|webgpu) /)
    expect(open("'webgpu'", {}).err).toBe('')
  })
})

describe('fovea devices explains', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-devices-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const devices = (variables: Record<string, string>, options: readonly string[] = [], command = dist) =>
    run([...options, join(command, 'cli', 'main.js'), 'devices'], variables)
  const webgpuOf = (out: string) => out.slice(0, out.indexOf('\n\n'))

  it('that no driver was found where one was chosen', () => {
    const { out, err } = devices({ VK_DRIVER_FILES: '/nowhere.json' })
    expect(err).toBe('')
    expect(webgpuOf(out)).toMatch(
      /^webgpu: not available\n {2}.*no WebGPU adapter.*\n {2}Vulkan drivers chosen by VK_DRIVER_FILES:\n {4}\/nowhere.json: there is no such file\n/,
    )
    expect(webgpuOf(out)).toMatch(/do this: let VK_DRIVER_FILES name the manifest of a driver, or unset it$/)
  })

  it('why a driver was refused, in its own words', (context) => {
    if (!lavapipe) return context.skip('hardware: lavapipe is not installed')
    const { out, err } = devices({ VK_DRIVER_FILES: join(manifests, lavapipe) })
    expect(err).toBe('')
    expect(webgpuOf(out)).toContain(`${lavapipe}: computes on the CPU`)
    if (out.startsWith('webgpu: not available'))
      expect(webgpuOf(out)).toMatch(/said:\n {4}Warning: Vulkan .* required\.\n(.*\n)*.*do this: unset VK_DRIVER_FILES/)
  })

  it('which driver serves', () => {
    const { out, err } = devices({ VK_DRIVER_FILES: swiftshader })
    expect(err).toBe('')
    expect(webgpuOf(out)).toMatch(/^webgpu: .*swiftshader/i)
    expect(webgpuOf(out)).toContain(
      `Vulkan drivers chosen by VK_DRIVER_FILES:\n    ${swiftshader}: computes on the CPU`,
    )
  })

  it('that the package webgpu is not installed', () => {
    // the built files, from a place from which no package is found
    symlinkSync(dist, join(folder, 'dist'))
    const { out, err } = devices({}, ['--preserve-symlinks', '--preserve-symlinks-main'], join(folder, 'dist'))
    expect(err).toBe('')
    expect(webgpuOf(out)).toMatch(/^webgpu: not available\n.*npm install webgpu\n {2}do this: npm install webgpu$/)
  })
})
