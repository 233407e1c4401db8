import { bytesSource } from 'fovea/model'

/**
 * A file of a server as a source of bytes: one request, whose progress is told. `urlSource` of fovea/model reads only the
 * parts that are asked for instead, which suits files that do not fit into memory twice.
 */
export async function fetchModel(url, { signal, onProgress }) {
  const response = await fetch(url, { signal })
  if (!response.ok) throw new Error(`${url}: the server answered ${response.status}`)
  const total = Number(response.headers.get('content-length'))
  const chunks = []
  let done = 0
  for await (const chunk of chunksOf(response.body)) {
    chunks.push(chunk)
    done += chunk.length
    onProgress(done, total)
  }
  const bytes = new Uint8Array(done)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytesSource(url, bytes)
}

// Safari iterates no streams
async function* chunksOf(stream) {
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}
