import { copyFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { bundle } from './bundle.ts'
import { installPacked, missing } from './packed-package.ts'
import { isolation, serveFolder } from './serve-folder.ts'

interface Attended {
  readonly kind?: string
  readonly attended?: readonly number[]
  readonly threads?: number | null
  readonly notes?: readonly string[]
  readonly code?: string
  readonly message?: string
}

const strict = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"
const notIsolated = /^one thread: the page is not cross-origin isolated.*Cross-Origin-Opener-Policy/
const noWasm = {
  code: 'unsupported',
  message: expect.stringMatching(/^openDevice: .*Content-Security-Policy.*'wasm-unsafe-eval' in script-src/),
}

let folder = ''
let out = ''
let browser: Browser

beforeAll(async () => {
  if (missing) return
  folder = await installPacked('app')
  out = await bundle('esbuild', folder)
  // what esbuild does not place by itself
  await copyFile(
    join(folder, 'node_modules', 'fovea', 'dist', 'browser', 'wasm', 'pool', 'pool-worker.js'),
    join(out, 'pool-worker.js'),
  )
  const gpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', ...gpu] })
}, 120_000)

afterAll(async () => {
  await browser?.close()
  if (folder !== '') await rm(folder, { recursive: true })
})

beforeEach((context) => {
  if (missing) context.skip(missing)
})

interface Visit {
  readonly isolated?: boolean
  readonly policy?: string
  /** headers of the file of the workers, where they are not those of the page */
  readonly workerHeaders?: Readonly<Record<string, string>>
  /** arguments of `attend` */
  readonly device?: string
  /** runs in the page before */
  readonly before?: string
}

/** Opens a device in a page under a policy; `sent` are the files that the page got. */
async function visit(options: Visit): Promise<{ result: Attended; sent: readonly string[]; processors: number }> {
  const { isolated = true, policy, workerHeaders, device = '"wasm"', before } = options
  const headers = { ...(isolated && isolation), ...(policy && { 'Content-Security-Policy': policy }) }
  const server = await serveFolder(out, (path) => (path.includes('worker') && workerHeaders) || headers)
  const page = await browser.newPage()
  try {
    await page.goto(server.origin)
    await page.waitForFunction(() => 'fovea' in globalThis)
    if (before) await page.evaluate(before)
    const result = (await page.evaluate(`fovea.attend(${device})`)) as Attended
    const processors = (await page.evaluate('navigator.hardwareConcurrency')) as number
    return { result, sent: server.sent, processors }
  } finally {
    await page.close()
    await server.close()
  }
}

it.each<[string, Visit]>([
  ['isolated, without a policy', {}],
  ["isolated, under script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'", { policy: strict }],
  ['isolated, under default-src alone', { policy: "default-src 'self' 'wasm-unsafe-eval'" }],
])('%s: workers from the file', async (_name, options) => {
  const { result, sent, processors } = await visit(options)
  expect(result).toMatchObject({ kind: 'wasm', threads: processors, notes: [] })
  expect(sent.filter((path) => path === '/pool-worker.js')).toHaveLength(processors)
})

it.each<[string, Visit]>([
  ['the file is sent without the isolation of the page', { workerHeaders: { 'Content-Type': 'text/javascript' } }],
  ['the file is a page that says "not found"', { workerHeaders: { ...isolation, 'Content-Type': 'text/html' } }],
  [
    'the file has a policy of its own that forbids WebAssembly',
    { workerHeaders: { ...isolation, 'Content-Security-Policy': "script-src 'self'" } },
  ],
])('%s: workers from a text', async (_name, options) => {
  const { result, processors } = await visit(options)
  expect(result).toMatchObject({ kind: 'wasm', threads: processors, notes: [] })
})

it.each<[string, Visit, RegExp]>([
  ['not isolated', { isolated: false }, notIsolated],
  ['not isolated, under the policy', { isolated: false, policy: strict }, notIsolated],
  [
    "worker-src 'none'",
    { policy: "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'" },
    /^one thread: no worker starts: .*Content-Security-Policy forbids it \(worker-src\)/,
  ],
  [
    'a policy for workers, and their file is not there',
    { policy: strict, device: '"wasm", { wasm: { workerUrl: "/nowhere-worker.js" } }' },
    /^one thread: no worker starts: from \/nowhere-worker\.js: .*; from a blob: URL: .*Content-Security-Policy forbids it/,
  ],
])('%s: one thread, and why', async (_name, options, note) => {
  const { result } = await visit(options)
  expect(result).toMatchObject({ kind: 'wasm', threads: 1, notes: [expect.stringMatching(note)] })
  expect(result.attended?.slice(0, 2)).toEqual([1, 2])
})

it('threads that were asked for are opened or refused', async () => {
  const device = '"wasm", { wasm: { threads: 2 } }'
  const refused = await visit({ policy: `${strict.replace("worker-src 'self'", "worker-src 'none'")}`, device })
  expect(refused.result).toEqual({ code: 'device', message: expect.stringMatching(/^openDevice: .*worker-src/) })
  const alone = await visit({ isolated: false, device })
  expect(alone.result).toEqual({ code: 'unsupported', message: expect.stringMatching(/Cross-Origin-Opener-Policy/) })
})

it('the file of the workers may be served elsewhere', async () => {
  await rename(join(out, 'pool-worker.js'), join(out, 'elsewhere-worker.js'))
  try {
    const device = '"wasm", { wasm: { workerUrl: "/elsewhere-worker.js" } }'
    const { result, sent, processors } = await visit({ policy: strict, device })
    expect(result).toMatchObject({ threads: processors, notes: [] })
    expect(sent).toContain('/elsewhere-worker.js')
  } finally {
    await rename(join(out, 'elsewhere-worker.js'), join(out, 'pool-worker.js'))
  }
})

const noGpu = 'Object.defineProperty(navigator, "gpu", { value: undefined })'
/** the software adapter under a name that does not say so, as a page with a GPU finds one */
const asGpu = `{
  const { gpu } = navigator
  const request = gpu.requestAdapter.bind(gpu)
  gpu.requestAdapter = async (options) => {
    const adapter = await request(options)
    const { features, limits } = adapter
    const info = { vendor: 'some', architecture: 'gpu', device: '', description: '' }
    return { features, limits, info, requestDevice: (descriptor) => adapter.requestDevice(descriptor) }
  }
}`

it.each<[string, Visit, unknown]>([
  ['without WebGPU: an error names the directive', { before: noGpu, device: '' }, noWasm],
  ['a software adapter is no GPU: an error names the directive', { device: '' }, noWasm],
  ['WebAssembly asked for: an error names the directive', { before: asGpu, device: '"wasm"' }, noWasm],
  ['with a GPU: WebGPU', { before: asGpu, device: '' }, { kind: 'webgpu', threads: null }],
  ['WebGPU asked for: WebGPU', { device: '"webgpu"' }, { kind: 'webgpu', threads: null }],
])("without 'wasm-unsafe-eval', %s", async (_name, options, expected) => {
  const { result } = await visit({ ...options, policy: "script-src 'self'; worker-src 'self'" })
  expect(result).toMatchObject(expected as Attended)
  if (result.kind) expect(result.attended?.slice(0, 2).map(Math.round)).toEqual([1, 2])
})
