import { checkFields, type FieldsOf } from '../../tile/index.ts'
import { movingAverage } from '../averaging/moving-average.ts'
import { batchesOf } from '../data/rows.ts'
import { chooseSchedule } from '../schedules/choose-schedule.ts'
import { createTrainer } from '../trainer.ts'
import { claimFolder, claimTexts, holdsCheckpoint } from './claim-folder.ts'
import { finishRun } from './finish-run.ts'
import { runData } from './run-data.ts'
import { openRunLog, runFiles } from './run-folder.ts'
import { RunLoop } from './run-loop.ts'
import { runModel } from './run-model.ts'
import type { RunOutcome, RunTrainingOptions } from './run-options.ts'
import { runTokenizer } from './run-tokenizer.ts'

/**
 * Runs a configuration in a folder: log, checkpoints, at the end the model as safetensors and what a report shows. A folder with
 * a checkpoint of the same configuration goes on from it, and comes to the same weights as if it had never stopped, wherever
 * it was stopped or killed. Node only. Rejects with `argument` for a folder that holds a run of another configuration or a
 * loss that is no number (the last good checkpoint stays), and with what is thrown by what it is made of.
 */
export async function runTraining(options: RunTrainingOptions): Promise<RunOutcome> {
  checkFields('runTraining', 'options', options, fields)
  const { device, config, folder, onPrepare } = options
  await claimFolder(folder, config)
  const tokenizer = await runTokenizer(config, folder, (characters) =>
    onPrepare?.(`tokenizer: ${characters} characters`),
  )
  const data = await runData({
    config,
    tokenizer,
    folder,
    onProgress: (characters) => onPrepare?.(`tokens: ${characters} characters`),
  })
  try {
    await claimTexts(folder, data.fingerprints)
    const { model, chosen } = await runModel(device, config, tokenizer)
    const { averaging } = config
    try {
      const trainer = await createTrainer({
        device,
        model,
        optimizer: chosen.optimizers,
        learningRate: chosen.learningRate,
        schedule: chooseSchedule(config.schedule, config.steps),
        source: [...config.stages, { ...config, until: undefined }].map(({ length, batch, accumulate, until }) => ({
          source: batchesOf(data.rowsOf(length), batch),
          accumulate,
          ...(until !== undefined && { until }),
        })),
        maxNorm: config.clip,
        ...(config.memory !== null && { memoryLimit: 1e6 * config.memory }),
        ...(averaging !== null && {
          averaging: movingAverage(typeof averaging === 'number' ? { decay: averaging } : averaging),
        }),
      })
      try {
        if (await holdsCheckpoint(folder)) await trainer.resume(`${folder}/${runFiles.checkpoint}`)
        const log = await openRunLog(folder, trainer.steps)
        const parts = { trainer, model, data, tokenizer, log }
        const outcome = await new RunLoop(options, parts).go()
        if (outcome.finished) await finishRun(options, parts)
        return outcome
      } finally {
        trainer.dispose()
      }
    } finally {
      model.dispose()
    }
  } finally {
    data.close()
  }
}

const fields: FieldsOf<RunTrainingOptions> = {
  device: true,
  config: true,
  folder: true,
  signal: true,
  onPrepare: true,
  onStep: true,
  onEvaluation: true,
  onSave: true,
}
