import { execFileSync } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { installPacked, missing, tools } from './packed-package.ts'

interface Output {
  readonly bytes: number
  readonly imports: readonly { readonly path: string; readonly kind: string }[]
}

let folder = ''
afterAll(async () => {
  if (folder !== '') await rm(folder, { recursive: true })
})

beforeEach((context) => {
  if (missing) context.skip(missing)
})

// bytes of minified scripts, neither compressed nor stripped of what only other pages call
it('a page that opens a model and lets it write loads at most 400 kB before it has a back end, 450 kB with one', async () => {
  folder = await installPacked('app')
  const build = [
    'minimal.js',
    '--bundle',
    '--format=esm',
    '--splitting',
    '--minify',
    '--outdir=out',
    '--metafile=m.json',
  ]
  execFileSync(process.execPath, [join(tools, 'esbuild', 'bin', 'esbuild'), ...build], { cwd: folder, stdio: 'pipe' })
  const { outputs } = JSON.parse(await readFile(join(folder, 'm.json'), 'utf8')) as { outputs: Record<string, Output> }

  const loaded = (path: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(path)) return seen
    seen.add(path)
    for (const next of outputs[path]?.imports ?? []) if (next.kind === 'import-statement') loaded(next.path, seen)
    return seen
  }
  const bytes = (paths: Iterable<string>) => [...paths].reduce((sum, path) => sum + (outputs[path]?.bytes ?? 0), 0)
  const chunk = (name: string) => {
    const path = Object.keys(outputs).find((one) => one.startsWith(`out/${name}-`))
    if (path === undefined) throw new Error(`${name} is no chunk of its own`)
    return path
  }
  const page = loaded('out/minimal.js')
  // the model of this page is a .gguf file without a chat template
  const first = loaded(chunk('gguf-checkpoint'), new Set(page))
  const adapter = loaded(chunk('webgpu-adapter'), new Set(first))
  const wasm = loaded(chunk('wasm-backend'), new Set(adapter))
  const gpu = loaded(chunk('webgpu-backend'), new Set(adapter))
  // what files of other kinds take, each loaded for a file that is one
  const ofFolder = bytes(loaded(chunk('huggingface-checkpoint'), new Set(page))) - bytes(first)
  const template = bytes(loaded(chunk('chat-template'), new Set(wasm))) - bytes(wasm)
  console.log(
    `minimal LLM page: ${bytes(first)} bytes; with WebAssembly ${bytes(wasm)}, with WebGPU ${bytes(gpu)}; a folder instead of a .gguf file ${ofFolder}, a chat template ${template} more; all ${bytes(Object.keys(outputs))}`,
  )
  expect(bytes(first)).toBeLessThanOrEqual(400_000)
  expect(bytes(wasm)).toBeLessThanOrEqual(450_000)
  expect(bytes(gpu)).toBeLessThanOrEqual(450_000)
  // what it has no use for is not fetched
  expect([...wasm]).not.toContain(chunk('webgpu-backend'))
  expect([...gpu]).not.toContain(chunk('wasm-backend'))
  for (const name of [
    'huggingface-checkpoint',
    'chat-template',
    'interpret-backend',
    'resolve-place',
    'model-drafter',
    'find-architecture',
  ])
    for (const loadedNow of [wasm, gpu]) expect([...loadedNow]).not.toContain(chunk(name))
  // nothing of Node is in it, not even behind import()
  for (const path of Object.keys(outputs)) {
    const text = await readFile(join(folder, path), 'utf8')
    expect(/.{0,40}(["'`]node:|require\(|child_process).{0,40}/.exec(text)?.[0], path).toBe(undefined)
  }
})
