import { readdir, rm } from 'node:fs/promises'
import { makeFolder } from '../../model/files/make-folder.ts'
import { FoveaError } from '../../tile/index.ts'
import type { TrainConfig } from '../config/train-config.ts'
import type { JsonValue } from '../data/batch.ts'
import { readJson, runFiles, writeJson } from './run-folder.ts'

/** Is there a whole checkpoint? One that a killed process did not finish is taken away. */
export async function holdsCheckpoint(folder: string): Promise<boolean> {
  const path = `${folder}/${runFiles.checkpoint}`
  const names = await readdir(path).catch(() => [])
  const unfinished = names.filter((name) => name.endsWith('.tmp'))
  for (const name of unfinished) await rm(`${path}/${name}`, { force: true })
  return names.length > unfinished.length
}

/**
 * Makes the folder of a run, where the configuration is written once and is the same whenever the run goes on. Rejects with
 * `io`, and with `argument` naming the field that differs.
 */
export async function claimFolder(folder: string, config: TrainConfig): Promise<void> {
  await makeFolder('runTraining', folder)
  const kept = await readJson(folder, runFiles.config)
  if (kept === null) return writeJson(folder, runFiles.config, config)
  // a run may be made longer, and judged or saved more often; the rest decides its weights
  const free = ['steps', 'evaluate', 'save', 'samples', 'device', 'memory', 'name', 'compare']
  const fields = { ...(kept as Record<string, JsonValue>) }
  for (const [name, value] of Object.entries(config)) {
    const [before, now] = [JSON.stringify(fields[name]), JSON.stringify(value)]
    if (before !== now && !free.includes(name))
      throw new FoveaError(
        'argument',
        'runTraining',
        `${folder} holds a run with ${name} ${before}, this one has ${now}`,
      )
  }
  await writeJson(folder, runFiles.config, config)
}

/** The texts of a run stay the same, too. Rejects with `argument` where they have changed since it began. */
export async function claimTexts(folder: string, fingerprints: readonly string[]): Promise<void> {
  const kept = await readJson(folder, runFiles.texts)
  if (kept === null) return writeJson(folder, runFiles.texts, fingerprints)
  if (JSON.stringify(kept) !== JSON.stringify(fingerprints))
    throw new FoveaError('argument', 'runTraining', `${folder}: the texts have changed since the run in it began`)
}
