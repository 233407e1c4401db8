import { FoveaError } from '../../tile/index.ts'
import type { TextFile } from './text-files.ts'
import { unpackFile } from './unpack-file.ts'

/** a NUL separates documents; a file that has one in fewer bytes than this on average is no text */
const bytesPerNul = 64

/** a document may be as long as a string may be, and memory holds */
const longestDocument = 2 ** 28

/**
 * The documents of text files, one after another: a file is one document, or several with a NUL between them. Empty ones are
 * left out. A file is read in pieces; only a document is held as a whole. Node only. Throws `format` for a file that is
 * empty, that is no UTF-8 (with the place) or full of NULs, `limit` for a document of more than 2^28 characters, and what
 * `unpackFile` throws.
 */
export async function* readDocuments(files: readonly TextFile[]): AsyncGenerator<string> {
  for (const { path } of files) yield* documentsOf(path)
}

async function* documentsOf(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const failed = (message: string): FoveaError => new FoveaError('format', 'readDocuments', `${path}: ${message}`)
  let [bytes, nuls, documents] = [0, 0, 0]
  let parts: string[] = []
  let held = 0
  const decode = (piece: Uint8Array | null): string => {
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode()
    } catch {
      throw failed(`no UTF-8 text: a wrong sequence of bytes before byte ${bytes}`)
    }
  }
  for await (const piece of unpackFile(path)) {
    bytes += piece.length
    const texts = decode(piece).split('\0')
    nuls += texts.length - 1
    if (nuls > Math.max(16, bytes / bytesPerNul)) throw failed(`no text: ${nuls} of its first ${bytes} bytes are zero`)
    for (const [index, text] of texts.entries()) {
      if (index > 0) {
        const document = parts.join('')
        if (document.trim() !== '') {
          documents++
          yield document
        }
        parts = []
        held = 0
      }
      parts.push(text)
      held += text.length
      if (held > longestDocument)
        throw new FoveaError('limit', 'readDocuments', `${path}: a document of more than ${longestDocument} characters`)
    }
  }
  parts.push(decode(null))
  const last = parts.join('')
  if (last.trim() !== '') yield last
  else if (documents === 0) throw failed(`an empty text (${bytes} bytes)`)
}
