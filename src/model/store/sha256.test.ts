import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { gitBlobHash } from './git-blob-hash.ts'
import { sha256 } from './sha256.ts'

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 167 + (i >> 8)) % 256)

it('is what OpenSSL computes, of every length around a block and however the bytes come', () => {
  for (let length = 0; length < 200; length++) {
    const bytes = bytesOf(length)
    for (const step of [1, 7, 64, 65, 1000]) {
      const hash = sha256()
      for (let at = 0; at < length; at += step) hash.add(bytes.subarray(at, at + step))
      expect(hash.digest(), `${length} by ${step}`).toBe(createHash('sha256').update(bytes).digest('hex'))
    }
  }
})

it('names a file as git does', () => {
  // git hash-object of "hello\n"
  const hello = gitBlobHash(6)
  hello.add(new TextEncoder().encode('hello\n'))
  expect(hello.digest()).toBe('ce013625030ba8dba906f756967f9e9ca394464a')
  const bytes = bytesOf(100_001)
  const hash = gitBlobHash(bytes.length)
  hash.add(bytes.subarray(0, 777))
  hash.add(bytes.subarray(777))
  expect(hash.digest()).toBe(createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'))
})
