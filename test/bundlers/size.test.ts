import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { bundle } from './bundle.ts'
import { installPacked, missing } from './packed-package.ts'

let folder = ''
afterAll(async () => {
  if (folder !== '') await rm(folder, { recursive: true })
})

beforeEach((context) => {
  if (missing) context.skip(missing)
})

it('a page that opens a model and lets it write weighs at most 400 kB', async () => {
  folder = await installPacked('app')
  const out = await bundle('esbuild', folder, 'minimal.js')
  const text = await readFile(join(out, 'minimal.js'))
  console.log(`minimal LLM page: ${text.length} bytes, ${gzipSync(text).length} compressed`)
  expect(text.length).toBeLessThanOrEqual(400_000)
  // nothing of Node is in it, not even behind import()
  expect(text.toString()).not.toMatch(/["'`]node:|worker_threads|child_process|\bwebgpu["'`]/)
})
