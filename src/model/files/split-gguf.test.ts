import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../open-checkpoint.ts'
import { bytesSource } from './byte-source.ts'
import { openGguf } from './gguf.ts'
import type { GgufValue } from './gguf-types.ts'
import { openFile } from './open-file.ts'
import { ggufParts, wholeGgufs } from './split-gguf.ts'
import { type GgufTypedValue, writeGguf } from './write-gguf.ts'

const shipped = fileURLToPath(new URL('../../../models/books-recall-16m.gguf', import.meta.url))
const names = ggufParts('books-00001-of-00003.gguf')
let folder = ''
let server: Server
let origin = ''

/** A value as it may have been written. */
function typed(value: GgufValue): GgufTypedValue {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'i32' : 'f32', value }
  const list = value as readonly (string | number)[]
  const arrayOf = typeof list[0] === 'string' ? 'string' : list.every(Number.isInteger) ? 'i32' : 'f32'
  return { type: { arrayOf }, value: list }
}

/** Writes the shipped model as parts; `change` spoils what they say of themselves. */
async function writeParts(where: string, change: (no: number) => Record<string, number> = () => ({})) {
  const table = await openGguf(await openFile(shipped))
  const all = table.names()
  for (const [no, name] of names.entries()) {
    const split = { 'split.no': no, 'split.count': 3, 'split.tensors.count': all.length, ...change(no) }
    const stated = no === 0 ? [...table.metadata] : []
    const metadata = [...stated, ...Object.entries(split)].map(([key, value]) => [key, typed(value)] as const)
    const tensors = all.filter((_, i) => i % 3 === no).map((tensor) => table.get(tensor) as never)
    await writeGguf(join(where, name), new Map(metadata), tensors)
  }
  await table.close()
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-split-'))
  await writeParts(folder)
  server = createServer((request, response) => {
    readFile(join(folder, request.url ?? '')).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve)
  })
  origin = `http://localhost:${(server.address() as { port: number }).port}`
})
afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true })
})

async function expectWhole(model: Parameters<typeof openCheckpoint>[0]) {
  const [whole, parts] = [
    await openCheckpoint(shipped),
    await openCheckpoint(model, { cacheFolder: `${folder}/cache` }),
  ]
  expect(parts.spec).toEqual(whole.spec)
  expect(parts.byteLength).toBe(whole.byteLength)
  for (const name of ['tokenEmbedding', 'layers.0.mlp.down', 'layers.5.attention.query'])
    expect(Buffer.compare((await parts.matrix(name)).bytes, (await whole.matrix(name)).bytes)).toBe(0)
  expect(await parts.vector('finalNorm')).toEqual(await whole.vector('finalNorm'))
  await parts.close()
  await whole.close()
}

describe('a split model', () => {
  it('opens by its first part, its folder, a URL, a list of Files and sources by name', async () => {
    await expectWhole(join(folder, names[0] as string))
    await expectWhole(folder)
    await expectWhole(`${origin}/${names[0]}`)
    const bytes = await Promise.all(names.map((name) => readFile(join(folder, name))))
    await expectWhole(names.map((name, i) => new File([bytes[i] as BlobPart], name)).reverse())
    await expectWhole(Object.fromEntries(names.map((name, i) => [name, bytesSource(name, bytes[i] as Uint8Array)])))
  }, 60_000)

  it('is refused where a part is missing, naming it, wherever it lies', async () => {
    const [first, second, third] = names as [string, string, string]
    const elsewhere = join(folder, 'cut')
    await mkdir(elsewhere)
    const bytes = await Promise.all(names.map((name) => readFile(join(folder, name))))
    for (const i of [0, 2]) await writeFile(join(elsewhere, names[i] as string), bytes[i] as Uint8Array)
    const missing = { code: 'format', message: new RegExp(`the part ${second} of 3 is missing`) }
    await expect(openCheckpoint(join(elsewhere, first))).rejects.toMatchObject(missing)
    await expect(openCheckpoint(elsewhere)).rejects.toMatchObject(missing)
    const files = [0, 2].map((i) => new File([bytes[i] as BlobPart], names[i] as string))
    await expect(openCheckpoint(files)).rejects.toMatchObject(missing)
    await expect(openCheckpoint(files[0] as File)).rejects.toThrow(
      `split.count is 3: give all parts of the model, ${second}, ${third} too`,
    )
    await expect(openCheckpoint(`${origin}/cut/${first}`, { cacheFolder: `${folder}/cache` })).rejects.toMatchObject({
      code: 'io',
      message: new RegExp(second),
    })
    await expect(openCheckpoint(join(folder, second))).rejects.toThrow(`this is part 2 of 3: open the first, ${first}`)
  })

  it.each<[string, (no: number) => Record<string, number>, string]>([
    ['of another order', (no) => ({ 'split.no': no === 0 ? 0 : 3 - no }), 'split.no is 2 and split.count 3'],
    ['of another number', (no) => (no === 0 ? {} : { 'split.count': 4 }), 'split.no is 1 and split.count 4'],
    ['that lack tensors', () => ({ 'split.tensors.count': 1000 }), 'split.tensors.count is 1000'],
  ])('is refused with parts %s', async (_, change, message) => {
    const elsewhere = await mkdtemp(join(folder, 'spoilt-'))
    await writeParts(elsewhere, change)
    await expect(openCheckpoint(elsewhere)).rejects.toThrow(message)
  })

  it('is one model among names, its later parts none', () => {
    expect(wholeGgufs([...names, 'a.gguf', 'README.md'])).toEqual([names[0], 'a.gguf'])
    // a part whose first is not there is named itself
    expect(wholeGgufs(names.slice(1))).toEqual(names.slice(1))
    expect(ggufParts('a-00002-of-00002.GGUF')).toEqual(['a-00001-of-00002.GGUF', 'a-00002-of-00002.GGUF'])
  })
})
