import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { writeAside } from './write-aside.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-aside-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** The largest file that this process may write, from now on: the system then refuses as a full disk does. */
function limitFileSize(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}

it('writes the whole file, over an old one too', async () => {
  const path = join(folder, 'file')
  for (const text of ['first', 'and second'])
    await writeAside(path, async (sink) => {
      for (const letter of text) await sink.write(new TextEncoder().encode(letter))
    })
  expect(await readFile(path, 'utf8')).toBe('and second')
  expect(await readdir(folder)).toEqual(['file'])
})

it('keeps the old file when the disk is full, and leaves nothing else', async () => {
  const path = join(folder, 'file')
  await writeFile(path, 'old')
  limitFileSize(65536)
  try {
    const error = await writeAside(path, (sink) => sink.write(new Uint8Array(100_000))).catch((e: unknown) => e)
    expect(error).toMatchObject({ name: 'FoveaError', code: 'io' })
    expect((error as Error).message).toMatch(/file is not written: EFBIG/)
  } finally {
    limitFileSize('unlimited')
  }
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(folder)).toEqual(['file'])
})

it('keeps the old file when what is to be written fails on the way', async () => {
  const path = join(folder, 'file')
  await writeFile(path, 'old')
  const failure = new Error('no more tensors')
  const writing = writeAside(path, async (sink) => {
    await sink.write(new Uint8Array(10))
    throw failure
  })
  await expect(writing).rejects.toBe(failure)
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(folder)).toEqual(['file'])
})

it('names a path that cannot be written', async () => {
  const path = join(folder, 'missing', 'file')
  await expect(writeAside(path, async () => {})).rejects.toMatchObject({ code: 'io' })
  await expect(writeAside(folder, async () => {})).rejects.toMatchObject({ code: 'io' })
  expect((await readdir(folder)).length).toBe(0)
})
