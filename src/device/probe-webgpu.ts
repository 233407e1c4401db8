import { spawn } from 'node:child_process'
import { basename } from 'node:path'

/** What a process of its own saw when it asked for an adapter. */
export interface WebgpuProbe {
  /** the adapter's description; null: none was given */
  readonly adapter: string | null
  /** what Vulkan's loader, the drivers and Dawn wrote meanwhile, line by line */
  readonly lines: readonly string[]
}

/**
 * Asks for an adapter in a child process and keeps what is written there. Drivers and Dawn write their refusals straight to
 * file descriptor 2, which nothing in JavaScript can hold back. `entry` is the URL of the package `webgpu`, `flags` are
 * those of its `create`.
 *
 * Null where that cannot be done: this program is not node itself (it might start itself again and again), it may start no
 * processes, or there was no answer. A driver that ends the child by a signal gives no adapter: it would end this process too.
 */
export function probeWebgpu(
  entry: string,
  flags: readonly string[],
  request: GPURequestAdapterOptions,
): Promise<WebgpuProbe | null> {
  const { electron, bun } = process.versions as Record<string, string | undefined>
  if (electron || bun || !/^node(js)?(-?\d+)?$/.test(basename(process.execPath))) return Promise.resolve(null)
  // options of this process are not for the child: a debugger would stop it, coverage would count it
  const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...inherited } = process.env
  const args = ['--input-type=module', '-e', program, '--', entry, JSON.stringify(request), ...flags]
  return new Promise((answer) => {
    try {
      const env = { ...inherited, ...quietEnvironment() }
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 })
      let [out, err] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
      child.on('error', () => answer(null))
      child.on('close', (_code, signal) => {
        const lines = err.split('\n').filter((line) => line.trim() !== '')
        const [, adapter] = /^adapter (.*)$/m.exec(out) ?? []
        if (adapter !== undefined) answer({ adapter: JSON.parse(adapter) as string | null, lines })
        else if (signal === null || signal === 'SIGTERM') answer(null)
        else answer({ adapter: null, lines: [...lines, `a driver ended the process that asked it, by ${signal}`] })
      })
    } catch {
      answer(null)
    }
  })
}

const program = `
import { writeSync } from 'node:fs'
const [entry, request, ...flags] = process.argv.slice(1)
const { create } = await import(entry)
globalThis.gpu = create(flags)
let adapter = null
try {
  adapter = await gpu.requestAdapter(JSON.parse(request))
} catch (error) {
  writeSync(2, String(error?.message ?? error) + '\\n')
}
const { vendor, architecture, device, description } = adapter?.info ?? {}
writeSync(1, 'adapter ' + JSON.stringify(adapter && [vendor, architecture, device, description].join(' ').trim()) + '\\n')
process.exit(0)
`

/**
 * Variables under which drivers are asked. A layer of Mesa that orders the devices looks for a Wayland display in
 * XDG_RUNTIME_DIR, and writes two lines where that is unset; it finds none here either, but is silent: the name can never be a
 * folder.
 */
function quietEnvironment(): Record<string, string> {
  return process.env.XDG_RUNTIME_DIR?.startsWith('/') ? {} : { XDG_RUNTIME_DIR: '/dev/null' }
}

/**
 * `ask()` where a driver is known to serve, which is `adapter`: what is asked synchronously sees the quiet environment, and
 * nothing afterwards. Dawn asks every driver, and refuses old versions of lavapipe aloud, so that is left out unless it is
 * the one, or the user filters drivers.
 */
export function askQuietly<T>(adapter: string, ask: () => T): T {
  const variables = quietEnvironment()
  const filtered = process.env.VK_LOADER_DRIVERS_DISABLE ?? process.env.VK_LOADER_DRIVERS_SELECT
  if (filtered === undefined && !/llvmpipe|lavapipe/i.test(adapter)) variables.VK_LOADER_DRIVERS_DISABLE = 'lvp_icd*'
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  try {
    return ask()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}
