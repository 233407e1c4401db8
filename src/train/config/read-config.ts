import { isRecord } from '../../model/architectures/config-fields.ts'
import { FoveaError } from '../../tile/index.ts'
import { isTokenTask } from './data-config.ts'
import { findContradictions } from './find-contradictions.ts'
import { type TrainConfig, trainConfigReader } from './train-config.ts'

/**
 * A configuration from the value of a JSON file. Sizes that follow from the rest are filled in: the model's vocabulary from
 * the task or the tokenizer that is to be learnt, its positions from the length. Throws `argument` naming every field that
 * is unknown (and what was probably meant), missing or of the wrong kind, and those that contradict each other, with their
 * values.
 */
export function readTrainConfig(value: unknown, source = 'configuration'): TrainConfig {
  const faults: string[] = []
  if (!isRecord(value)) throw new FoveaError('argument', 'readTrainConfig', `${source}: must be an object`)
  const config = trainConfigReader(value, '', faults)
  if (faults.length === 0) {
    const whole = withSizes(config)
    findContradictions(whole, faults)
    if (faults.length === 0) return whole
  }
  throw new FoveaError('argument', 'readTrainConfig', `${source}: ${faults.join('; ')}`)
}

function withSizes(config: TrainConfig): TrainConfig {
  const { model, data, tokenizer, length } = config
  if (typeof model === 'string') return config
  const learnt = typeof tokenizer === 'object' ? tokenizer : undefined
  const vocabSize = data.find(isTokenTask)?.vocabSize ?? learnt?.vocabSize
  const positions = model.model_type === 'gpt2' ? 'n_positions' : 'max_position_embeddings'
  return {
    ...config,
    model: { [positions]: length, ...(vocabSize !== undefined && { vocab_size: vocabSize }), ...model },
  }
}
