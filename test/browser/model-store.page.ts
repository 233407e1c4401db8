// Runs in the page: the built package on files that need not be models.
import type { DownloadProgress, ModelSource, SourceOptions, StoredModel } from '../../src/model/index.ts'

// not by a literal, so that types are checked before anything is built
const [modelPath]: string[] = ['fovea/model']
const model = async () => (await import(modelPath as string)) as typeof import('../../src/model/index.ts')

export interface Opened {
  /** of the bytes read back, by the browser's own implementation */
  readonly sha256: string | null
  readonly progress: DownloadProgress | null
  readonly error: { readonly code: string; readonly message: string } | null
}

/** what a download under way has told last; for the test to look at from outside */
const home = globalThis as { lastProgress?: DownloadProgress }

/** Finds a model's file, reads it back in pieces and hashes it; `abortAfter` bytes it is given up. */
export async function open(source: ModelSource, options: SourceOptions = {}, abortAfter = Infinity): Promise<Opened> {
  const { resolveModelSource } = await model()
  const stop = new AbortController()
  let progress: DownloadProgress | null = null
  try {
    const found = await resolveModelSource(source, {
      ...options,
      signal: stop.signal,
      onProgress(step) {
        progress = step
        home.lastProgress = step
        if (step.done >= abortAfter) stop.abort()
      },
    })
    const file = found.kind === 'gguf' ? found.source : await found.files.open('model.safetensors')
    if (!file) throw new Error('no weights')
    const bytes = new Uint8Array(file.size)
    for (let at = 0; at < file.size; at += 700_001)
      bytes.set(await file.read(at, Math.min(700_001, file.size - at)), at)
    await file.close()
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
    return { sha256: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(''), progress, error: null }
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return { sha256: null, progress, error: { code, message } }
  }
}

/** The same from two callers at once. */
export async function openTwice(source: string): Promise<readonly Opened[]> {
  return Promise.all([open(source), open(source)])
}

/** The file that was chosen in the input of this id. */
export async function openChosen(id: string): Promise<Opened> {
  const { files } = document.getElementById(id) as HTMLInputElement
  return open([...(files ?? [])])
}

export async function list(): Promise<readonly (Omit<StoredModel, 'modified'> & { readonly age: number })[]> {
  const { listModels } = await model()
  return (await listModels()).map(({ modified, ...rest }) => ({ ...rest, age: Date.now() - modified.getTime() }))
}

export async function remove(name: string): Promise<number> {
  return (await model()).removeModel(name)
}
