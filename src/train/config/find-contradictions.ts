import { FoveaError } from '../../tile/index.ts'
import { attentionVariant } from '../attention-variants.ts'
import { chooseOptimizers } from '../optimizers/choose-optimizers.ts'
import { chooseSchedule } from '../schedules/choose-schedule.ts'
import { isTokenTask } from './data-config.ts'
import { type ModelFields, modelSpec } from './model-config.ts'
import type { TrainConfig } from './train-config.ts'

/** Adds what does not go together, each with its values. */
export function findContradictions(config: TrainConfig, faults: string[]): void {
  const { model, data, tokenizer, length } = config
  const taskSizes = data.filter(isTokenTask).map(({ task, vocabSize }) => ({ task, vocabSize }))
  const needsTokenizer = data.some((part) => !isTokenTask(part))
  if (taskSizes.length > 0 && needsTokenizer)
    faults.push(`data: ${taskSizes[0]?.task} is made of numbered tokens, which no text can be mixed with`)
  for (const { task, vocabSize } of taskSizes)
    if (vocabSize !== taskSizes[0]?.vocabSize)
      faults.push(`data: ${task} has a vocabulary of ${vocabSize}, ${taskSizes[0]?.task} of ${taskSizes[0]?.vocabSize}`)
  if (taskSizes.length > 0 && tokenizer !== undefined)
    faults.push(`tokenizer: ${taskSizes[0]?.task} is made of numbered tokens and takes no tokenizer`)
  if (needsTokenizer && tokenizer === undefined && typeof model !== 'string')
    faults.push('tokenizer: missing; texts need one (a path, or {"vocabSize": 8192} to learn it)')
  if (typeof tokenizer === 'object' && !data.some((part) => 'texts' in part))
    faults.push('tokenizer: there are no texts to learn one from; name a tokenizer.json')
  for (const { attention, optimizer, schedule } of [config, ...config.compare]) {
    if (attention !== undefined) collect(faults, () => attentionVariant(attention))
    if (optimizer !== undefined) collect(faults, () => chooseOptimizers(optimizer))
    if (schedule !== undefined) collect(faults, () => chooseSchedule(schedule, config.steps))
  }
  let from = 0
  for (const [index, stage] of config.stages.entries()) {
    const name = `stages[${index}]`
    if (stage.until <= from || stage.until >= config.steps)
      faults.push(`${name}.until ${stage.until} must lie between ${from} and steps ${config.steps}`)
    if (stage.length > length) faults.push(`${name}.length ${stage.length} is longer than length ${length}`)
    from = stage.until
  }
  const retrieval = data.findIndex((part) => 'task' in part && part.task === 'retrieval' && part.prose)
  if (retrieval >= 0 && !data.some((part) => 'texts' in part))
    faults.push(`data[${retrieval}].prose: there are no texts in data to take prose from`)
  if (config.lora && typeof model !== 'string')
    faults.push('lora: adapters need a model to adapt; model must be a path')
  const names = ['', ...config.compare.map(({ name }) => name)]
  const doubled = names.find((name, index) => names.indexOf(name) !== index)
  if (doubled !== undefined) faults.push(`compare: two runs are called ${JSON.stringify(doubled)}`)
  if (typeof model === 'string') return

  findModelFaults(model, config, taskSizes, faults)
  if (typeof tokenizer === 'object' && typeof model.vocab_size === 'number' && model.vocab_size !== tokenizer.vocabSize)
    faults.push(`model.vocab_size ${model.vocab_size} disagrees with tokenizer.vocabSize ${tokenizer.vocabSize}`)
}

function findModelFaults(
  model: ModelFields,
  { tokenizer, length }: TrainConfig,
  tasks: readonly { readonly task: string; readonly vocabSize: number }[],
  faults: string[],
): void {
  // the vocabulary of a tokenizer that is read from a file is not known yet
  const open = model.vocab_size === undefined && (typeof tokenizer === 'string' || tasks.length === 0)
  const spec = modelSpec(open ? { ...model, vocab_size: 2 ** 20 } : model, faults)
  if (spec && length > spec.maxPositions)
    faults.push(`length ${length} is longer than the ${spec.maxPositions} positions of the model`)
  for (const { task, vocabSize } of tasks)
    if (typeof model.vocab_size === 'number' && model.vocab_size < vocabSize)
      faults.push(`model.vocab_size ${model.vocab_size} is smaller than the vocabulary ${vocabSize} of ${task}`)
}

/** Adds what an attempt throws. */
function collect(faults: string[], attempt: () => unknown): void {
  try {
    attempt()
  } catch (error) {
    if (!(error instanceof FoveaError)) throw error
    faults.push(error.message)
  }
}
