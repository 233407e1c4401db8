import type { DeviceKind } from '../../device/index.ts'
import type { Checkpoint } from '../../model/checkpoint.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { type EngineOptions, engineOptionFields } from '../engine-options.ts'
import type { FromWorker, ToWorker } from './engine-messages.ts'
import { errorMessage, errorOf } from './error-message.ts'
import { lendSources } from './lend-sources.ts'
import { type EngineWorker, startEngineWorker } from './start-engine-worker.ts'
import { WorkerEngine } from './worker-engine.ts'

/** How an engine in a worker is set up: as one in this thread, but for the device, which the worker opens. */
export interface WorkerEngineOptions extends Omit<EngineOptions, 'device'> {
  /** the kind to open (the best at hand) */
  readonly device?: DeviceKind
  /** pages: address of the worker's script, where a bundler has put it elsewhere (beside the bundle) */
  readonly workerUrl?: string | URL
}

const fields: FieldsOf<WorkerEngineOptions> = { ...engineOptionFields, workerUrl: true }

/**
 * `openEngine` in a worker: everything, from download to sampling, runs off this thread, which stays free for whatever else
 * a page or a server does. The engine is used as one of this thread; see `WorkerEngine` for what differs. Threads of
 * WebAssembly and WebGPU are the worker's own. Sources of bytes are read here, as the worker asks for them.
 *
 * Rejects with what `openEngine` rejects with; `argument` for what cannot cross (a Checkpoint, a device of yours);
 * `unsupported` when no worker starts.
 */
export async function openEngineInWorker(
  source: ModelSource | Checkpoint,
  options: WorkerEngineOptions = {},
): Promise<WorkerEngine> {
  const where = 'openEngineInWorker'
  checkFields(where, 'options', options, fields)
  const { onProgress, signal, workerUrl, draftModel, ...given } = options
  const own = given.deviceOptions?.webgpu
  if (typeof given.device === 'object' || own?.device || own?.adapter)
    throw new FoveaError('argument', where, 'a device stays in its thread; name a kind, and the worker opens one')
  if (signal?.aborted) throw new FoveaError('cancelled', where, 'the signal was aborted before')
  const lent = lendSources(where)
  const draft = draftModel ? { source: lent.lend(draftModel.model), tokens: draftModel.tokens } : null
  const opening: ToWorker = { type: 'open', source: lent.lend(source), draft, options: given }

  return new Promise<WorkerEngine>((resolve, reject) => {
    let engine: WorkerEngine | null = null
    let worker: EngineWorker | null = null
    const abort = () => worker?.post({ type: 'abort' })
    const giveUp = (error: unknown) => {
      signal?.removeEventListener('abort', abort)
      worker?.terminate()
      void lent.closeAll()
      reject(error)
    }
    const message = (told: FromWorker) => {
      switch (told.type) {
        case 'progress':
          try {
            return onProgress?.(told.progress)
          } catch (error) {
            // a listener that throws ends the opening, as it does without a worker
            return giveUp(error)
          }
        case 'read':
          return void answerRead(told)
        case 'closeSource':
          return void lent.close(told.index).catch(() => {})
        case 'opened':
          signal?.removeEventListener('abort', abort)
          engine = new WorkerEngine(worker as EngineWorker, told.facts)
          return resolve(engine)
        case 'failed':
          return giveUp(errorOf(told.error))
        default:
          return engine?.take(told)
      }
    }
    const lost = (cause: unknown) => {
      void lent.closeAll()
      if (engine) return engine.lose(cause)
      const reason = cause instanceof Error ? cause.message : String(cause)
      giveUp(new FoveaError('unsupported', where, `no worker starts: ${reason}`, { cause }))
    }
    const answerRead = async ({ id, index, offset, length }: Extract<FromWorker, { type: 'read' }>) => {
      try {
        const bytes = await lent.read(index, offset, length)
        worker?.post({ type: 'bytes', id, bytes, error: null }, [bytes.buffer])
      } catch (error) {
        worker?.post({ type: 'bytes', id, bytes: null, error: errorMessage(error) })
      }
    }
    try {
      worker = startEngineWorker({ message, lost }, workerUrl === undefined ? undefined : String(workerUrl))
      worker.post(opening)
      signal?.addEventListener('abort', abort, { once: true })
    } catch (cause) {
      const reason = (cause as Error).message
      const code = (cause as Error).name === 'DataCloneError' ? 'argument' : 'unsupported'
      const what = code === 'argument' ? 'this cannot go to a worker' : 'no worker starts'
      giveUp(new FoveaError(code, where, `${what}: ${reason}`, { cause }))
    }
  })
}
