import { existsSync } from 'node:fs'
import { resolveModelSource } from '../model/index.ts'
import { modelPlace } from '../model/source/model-name.ts'
import { megabytes } from './generation-report.ts'
import { ProgressBar } from './progress-bar.ts'

/**
 * A model as `openEngine` takes it: a path as it is for what lies on the disk; hf:owner/name, of which owner/name is a short
 * form (owner/name:file.gguf for one file of it), and URLs, downloaded here on first use. Throws what `resolveModelSource`
 * throws.
 */
export async function resolveModel(model: string): Promise<string> {
  const [, id, file] = /^([\w.-]+\/[\w.-]+)(?::(.+\.gguf))?$/.exec(model) ?? []
  const name = id === undefined || existsSync(model) ? model : `hf:${id}${file === undefined ? '' : `/${file}`}`
  if (modelPlace(name).kind === 'path') return name
  const bar = new ProgressBar(`download ${name}`, 'MB')
  const found = await resolveModelSource(name, {
    onProgress({ done, total, file: part }) {
      const known = Number.isFinite(total) ? total : done
      bar.update(Math.round(done / 1e6), Math.round(known / 1e6), `, ${part}, ${megabytes(known)} in all`)
    },
  }).finally(() => bar.clear())
  if (found.kind === 'gguf') await found.source.close()
  return name
}
