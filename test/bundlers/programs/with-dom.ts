// Where the platform declares its objects, the package takes those and no others.
import { openEngine } from 'fovea/llm'
import { type ByteSource, blobSource, urlSource } from 'fovea/model'

export async function stopped(file: File): Promise<string> {
  const stop = new AbortController()
  const engine = await openEngine('model.gguf')
  const source: ByteSource = blobSource(file)
  const { text } = await engine.generate({ prompt: source.name, signal: stop.signal }).result
  return text
}

export const fetched: Promise<ByteSource> = urlSource(new URL('https://example.org/model.gguf'), { fetch })

// @ts-expect-error not everything with a size is a Blob
blobSource({ size: 1, type: '' })
// @ts-expect-error nor everything with a flag a signal
openEngine('model.gguf').then((engine) => engine.generate({ prompt: '', signal: { aborted: false } }))
