import type { Tensor } from '../device/device.ts'
import { makeFolder } from '../model/files/make-folder.ts'
import { openFile } from '../model/files/open-file.ts'
import { openSafetensors } from '../model/files/safetensors.ts'
import { writeSafetensors } from '../model/files/write-safetensors.ts'
import { FoveaError } from '../tile/index.ts'
import type { JsonValue } from './data/batch.ts'

/** What a run holds beside its tensors. */
export interface RunState {
  /** what a run that goes on must agree in */
  readonly configuration: Readonly<Record<string, JsonValue>>
  /** where it stands: steps, loss scale, data */
  readonly progress: Readonly<Record<string, JsonValue>>
}

const fileName = 'training.safetensors'
const formatVersion = 1

/**
 * Writes a run into a folder as one file, aside and renamed: at every moment the folder holds the whole state of some step.
 * Rejects with `io` naming the path.
 */
export async function writeRunState(
  folder: string,
  state: RunState,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<void> {
  await makeFolder('trainer.save', folder)
  const files = [...tensors].map(([name, tensor]) => ({
    name,
    dtype: 'f32' as const,
    shape: tensor.shape,
    read: () => tensor.readBytes(),
  }))
  const metadata = { format: 'fovea-training', version: `${formatVersion}`, state: JSON.stringify(state) }
  await writeSafetensors(`${folder}/${fileName}`, files, metadata)
}

/**
 * Reads a run back into the tensors it was written from; nothing is written before everything was checked, and `accept` has
 * taken the progress. Rejects with `io` for a folder without one, with `format` naming what is wrong (a file that is cut
 * short, that is no run, or the first thing in which its configuration differs from this one), and with what `accept` throws.
 */
export async function readRunState(
  folder: string,
  configuration: RunState['configuration'],
  tensors: ReadonlyMap<string, Tensor>,
  accept: (progress: RunState['progress']) => void,
): Promise<void> {
  const path = `${folder}/${fileName}`
  const fault = (message: string) => new FoveaError('format', 'trainer.resume', `${path} ${message}`)
  const table = await openSafetensors(await openFile(path))
  try {
    const text = table.metadata.get('state')
    if (table.metadata.get('format') !== 'fovea-training' || typeof text !== 'string')
      throw fault('is not the state of a training run')
    if (table.metadata.get('version') !== `${formatVersion}`)
      throw fault(`has version ${String(table.metadata.get('version'))}, read is ${formatVersion}`)
    const saved = parse(text, fault)
    const difference = firstDifference(saved.configuration, configuration)
    if (difference) throw fault(`is of another configuration: ${difference}`)
    for (const [name, { shape }] of tensors) {
      if (!table.has(name)) throw fault(`has no tensor ${name}`)
      const entry = table.get(name)
      if (entry.dtype !== 'f32' || entry.shape.join() !== shape.join())
        throw fault(`has ${name} ${entry.dtype} [${entry.shape.join(', ')}], this run f32 [${shape.join(', ')}]`)
    }
    accept(saved.progress)
    for (const [name, tensor] of tensors) {
      const bytes = await table.get(name).read()
      tensor.write(bytes.slice().buffer as ArrayBuffer)
    }
  } finally {
    await table.close()
  }
}

function parse(text: string, fault: (message: string) => FoveaError): RunState {
  let state: unknown
  try {
    state = JSON.parse(text)
  } catch {
    throw fault('has a state that is no JSON')
  }
  const { configuration, progress } = (state ?? {}) as Partial<RunState>
  if (typeof configuration !== 'object' || typeof progress !== 'object')
    throw fault('has a state without configuration and progress')
  return { configuration, progress }
}

/** "optimizer is adamw there and lion here" for the first field that differs; undefined where none does. */
function firstDifference(there: JsonValue, here: JsonValue, path = ''): string | undefined {
  if (isBranch(there) && isBranch(here)) {
    const [left, right] = [there, here].map((value) => new Map(Object.entries(value)))
    for (const key of new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])) {
      const inner = path === '' ? key : `${path}.${key}`
      const found = firstDifference(left?.get(key) ?? null, right?.get(key) ?? null, inner)
      if (found) return found
    }
    return undefined
  }
  return there === here ? undefined : `${path} is ${JSON.stringify(there)} there and ${JSON.stringify(here)} here`
}

function isBranch(value: JsonValue): value is Readonly<Record<string, JsonValue>> {
  return typeof value === 'object' && value !== null
}
