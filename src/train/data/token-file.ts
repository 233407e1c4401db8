import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { writeAside } from '../../model/files/write-aside.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import type { TokenizerDefinition } from '../../model/tokenizers/json-tokenizer.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { documentEncoder } from './encode-documents.ts'
import { readDocuments } from './read-documents.ts'
import { textFiles } from './text-files.ts'
import type { TokenStore } from './token-store.ts'

export interface TokenizeFilesOptions {
  /** files and folders, as for `textFiles` */
  readonly paths: readonly string[]
  readonly tokenizer: Tokenizer
  /** where the tokens are kept; a file that was made from the same texts and tokenizer is used again */
  readonly cache: string
  readonly onProgress?: (characters: number) => void
}

/** Tokens on disk. */
export interface TokenFile extends TokenStore {
  /** SHA-256 of all tokens: what a run was trained on */
  readonly fingerprint: string
  /** of the texts, as UTF-8 */
  readonly bytes: number
  close(): void
}

interface Trailer {
  /** what it was made from */
  readonly source: string
  readonly fingerprint: string
  readonly vocabSize: number
  readonly tokens: number
  readonly bytes: number
  readonly documents: number
  readonly tokenBytes: 2 | 4
}

const magic = 'FOVTOK1\n'

/**
 * The tokens of text files, each document between the tokenizer's begin and end tokens where it has them, written to a file
 * of 2 or 4 bytes a token and read from there: rows are read when they are needed. Node only. Rejects with what
 * `readDocuments` and `textFiles` throw, and `io`.
 */
export async function tokenizeFiles(options: TokenizeFilesOptions): Promise<TokenFile> {
  checkFields('tokenizeFiles', 'options', options, fields)
  const files = await textFiles(options.paths)
  const { tokenizer, cache } = options
  const about = [
    tokenizer.definition as TokenizerDefinition,
    files.map(({ path, bytes, changed }) => [path, bytes, changed]),
  ]
  const source = createHash('sha256').update(JSON.stringify(about)).digest('hex')
  const kept = await openTokenFile(cache).catch(() => null)
  if (kept?.source === source) return kept.file
  kept?.file.close()

  const encode = documentEncoder(tokenizer)
  const tokenBytes = tokenizer.vocabSize <= 2 ** 16 ? 2 : 4
  const hash = createHash('sha256')
  const starts: number[] = []
  let [tokens, characters, bytes] = [0, 0, 0]
  const encoder = new TextEncoder()
  await writeAside(cache, async (sink) => {
    for await (const document of readDocuments(files)) {
      const [begin, end] = [tokenizer.bosToken, tokenizer.eosTokens[0]]
      const ids = encode(document)
      if (begin !== null) ids.unshift(begin)
      if (end !== undefined) ids.push(end)
      const words = tokenBytes === 2 ? Uint16Array.from(ids) : Uint32Array.from(ids)
      const packed = new Uint8Array(words.buffer)
      hash.update(packed)
      await sink.write(packed)
      starts.push(tokens)
      tokens += ids.length
      characters += document.length
      bytes += encoder.encode(document).length
      options.onProgress?.(characters)
    }
    const fingerprint = hash.digest('hex')
    const documents = starts.length
    const { vocabSize } = tokenizer
    const trailer: Trailer = { source, fingerprint, vocabSize, tokens, bytes, documents, tokenBytes }
    const json = new TextEncoder().encode(JSON.stringify(trailer))
    await sink.write(new Uint8Array(Float64Array.from(starts).buffer))
    await sink.write(json)
    await sink.write(new Uint8Array(Uint32Array.of(json.length).buffer))
    await sink.write(new TextEncoder().encode(magic))
  })
  return (await openTokenFile(cache)).file
}

async function openTokenFile(path: string): Promise<{ file: TokenFile; source: string }> {
  const failed = (message: string, cause?: unknown): FoveaError =>
    new FoveaError('io', 'tokenizeFiles', `${path}: ${message}`, { cause })
  let handle: number
  try {
    handle = openSync(path, 'r')
  } catch (cause) {
    throw failed((cause as Error).message, cause)
  }
  const read = (at: number, count: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(count)
    for (let done = 0; done < count; ) {
      const got = readSync(handle, bytes, done, count - done, at + done)
      if (got === 0) throw failed(`ends before byte ${at + count}`)
      done += got
    }
    return bytes
  }
  try {
    const size = fstatSync(handle).size
    const tail = read(size - 12, 12)
    if (new TextDecoder().decode(tail.subarray(4)) !== magic) throw failed('no file of tokens')
    const jsonLength = new DataView(tail.buffer).getUint32(0, true)
    const trailer = JSON.parse(new TextDecoder().decode(read(size - 12 - jsonLength, jsonLength))) as Trailer
    const { tokens, bytes, documents, tokenBytes, vocabSize, fingerprint } = trailer
    const starts = new Float64Array(read(tokens * tokenBytes, documents * 8).buffer)
    const file: TokenFile = {
      length: tokens,
      vocabSize,
      starts,
      fingerprint,
      bytes,
      read(at, into) {
        const { buffer } = read(at * tokenBytes, into.length * tokenBytes)
        into.set(tokenBytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer))
      },
      close: () => closeSync(handle),
    }
    return { file, source: trailer.source }
  } catch (error) {
    closeSync(handle)
    throw error
  }
}

const fields: FieldsOf<TokenizeFilesOptions> = { paths: true, tokenizer: true, cache: true, onProgress: true }
