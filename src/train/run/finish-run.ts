import { exportSafetensors } from '../../model/export/export-safetensors.ts'
import { LoraDecoder } from '../lora/lora-decoder.ts'
import { savePeft } from '../lora/peft-files.ts'
import { runFiles, writeJson } from './run-folder.ts'
import type { RunParts } from './run-loop.ts'
import type { RunTrainingOptions } from './run-options.ts'
import { shownAnswers, shownTexts } from './shown-predictions.ts'

/** Writes what a finished run leaves: the model, and what a report shows of it. */
export async function finishRun(
  { device, config, folder }: RunTrainingOptions,
  { trainer, model, data, tokenizer, log }: RunParts,
): Promise<void> {
  const shown = await trainer.withAverages(async () => {
    await exportSafetensors(model.checkpoint(), `${folder}/${runFiles.model}`)
    if (model instanceof LoraDecoder && model.plan.targets.every(({ module }) => module !== null))
      await savePeft(model, `${folder}/${runFiles.adapter}`, { base: String(config.model) })
    const examples = await shownAnswers(device, model, data, tokenizer)
    const samples = config.samples && tokenizer ? await shownTexts(device, model, tokenizer, config.samples) : []
    return { examples, samples }
  })
  const { parameters, states, activations, other } = trainer.bytes
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  const last = log.steps.at(-1)
  const facts = [
    ['parameters', String(model.parameters.size)],
    [
      'attention',
      config.attention === 'full' ? 'full' : `${config.attention}, which the config.json of model/ does not say`,
    ],
    ['tokens a step', String(config.batch * config.accumulate * config.length)],
    ['device', `${device.kind}, ${device.info.name}`],
    [
      'memory',
      `${megabytes(parameters)} weights and gradients, ${megabytes(states)} optimiser, ${megabytes(activations)} activations, ${megabytes(other)} besides`,
    ],
    ['time', `${last?.seconds.toFixed(1)} s for ${last?.step} steps`],
  ]
  await writeJson(folder, runFiles.shown, { facts, ...shown })
}
