import { existsSync } from 'node:fs'
import { downloadModel } from '../model/index.ts'
import { megabytes } from './generation-report.ts'
import { ProgressBar } from './progress-bar.ts'

/**
 * The path of a model: as it is for what lies on the disk, else of the Hub's model owner/name, downloaded on first use;
 * owner/name:file.gguf names one file of it. Throws what `downloadModel` throws.
 */
export async function resolveModel(model: string): Promise<string> {
  const [, id, file] = /^([\w.-]+\/[\w.-]+)(?::(.+\.gguf))?$/.exec(model) ?? []
  if (id === undefined || existsSync(model)) return model
  const bar = new ProgressBar(`download ${id}`, 'MB')
  const path = await downloadModel(id, {
    ...(file !== undefined && { file }),
    onProgress: ({ done, total, file: name }) =>
      bar.update(Math.round(done / 1e6), Math.round(total / 1e6), `, ${name}, ${megabytes(total)} in all`),
  })
  bar.clear()
  return path
}
