import { isRecord } from '../../model/architectures/config-fields.ts'
import type { OptimizerConfig } from '../optimizers/choose-optimizers.ts'
import type { ScheduleConfig } from '../schedules/choose-schedule.ts'
import { dataReader } from './data-config.ts'
import {
  either,
  flag,
  list,
  number,
  object,
  optional,
  positive,
  type Reader,
  record,
  text,
  whole,
  word,
} from './field-readers.ts'
import { type ModelFields, modelFieldsReader } from './model-config.ts'

/** what `chooseOptimizers` and `chooseSchedule` read */
const optimizerReader: Reader<OptimizerConfig> = record
const scheduleReader: Reader<ScheduleConfig> = record

const isText = (value: unknown) => typeof value === 'string'
const decayReader = number('above 0 and below 1', (value) => value > 0 && value < 1)

/** What another run of a comparison does differently. */
const comparedReader = object({
  name: text,
  attention: optional(text),
  seed: optional(whole(0)),
  optimizer: optional(optimizerReader),
  schedule: optional(scheduleReader),
})

/** Everything that decides a run. */
export const trainConfigReader = object({
  /** what it is called in reports */
  name: optional(text, 'run'),
  /** fields of a config.json, for fresh weights; or the path of a model, whose training goes on */
  model: either<ModelFields, string>(
    'a path or an object',
    isRecord,
    modelFieldsReader,
    text as Reader<string>,
    isText,
  ),
  data: dataReader,
  /** path of a tokenizer.json, or one to be learnt from the texts; by default that of the model, if it is a path */
  tokenizer: optional(either('a path or an object', isText, text, object({ vocabSize: whole(260) }), isRecord)),
  /** tokens of a row */
  length: whole(2),
  /** rows that are computed together */
  batch: whole(1),
  /** batches of a step, computed one after another to save memory */
  accumulate: optional(whole(1), 1),
  steps: whole(1),
  /** shorter or other rows at first: until a step, in the order of the steps; then those above */
  stages: optional(
    list(object({ until: whole(1), length: whole(2), batch: whole(1), accumulate: optional(whole(1), 1) })),
    [],
  ),
  /** decides weights, data and dropout */
  seed: optional(whole(0), 0),
  /** how layers attend, such as full, window:8 */
  attention: optional(text, 'full'),
  /** {name, learningRate, weightDecay, …} */
  optimizer: optimizerReader,
  /** of the learning rate: {name, …} */
  schedule: optional(scheduleReader, { name: 'cosine', warmup: 0.05, final: 0.1 } as ScheduleConfig),
  /** most global norm of the gradient */
  clip: optional(positive, 1),
  /** deviation of fresh weights */
  deviation: optional(positive, 0.02),
  precision: optional(word('f32', 'f16', 'bf16'), 'f32'),
  checkpointing: optional(word('none', 'layer', 'sqrt'), 'none'),
  /** low-rank adapters of linear layers are trained, and the model at the path stays as it is; null: all weights are */
  lora: optional(
    object({
      rank: optional(whole(1), 8),
      alpha: optional(positive, 16),
      rankStabilised: optional(flag, false),
      /** names of layers, or their last parts: q_proj, mlp.up */
      targets: optional(either('"all" or a list of names', isText, word('all'), list(text), Array.isArray), [
        'attention.query',
        'attention.value',
      ]),
    }),
    null,
  ),
  /**
   * an exponential average of the weights, which is then judged and exported: its decay, or with the steps between switches,
   * from which training goes on from the average; null: none
   */
  averaging: optional(
    either(
      'a number or an object',
      (value) => typeof value === 'number',
      decayReader,
      object({ decay: optional(decayReader, 0.999), switchEvery: optional(whole(1), null) }),
      isRecord,
    ),
    null,
  ),
  device: optional(word('webgpu', 'wasm', 'interpret'), null),
  /** megabytes that a run may take of the device; null: what the device says it has. A run that needs more is refused */
  memory: optional(positive, null),
  /** held-out loss and accuracy: every so many steps, over so many batches */
  evaluate: optional(object({ every: whole(1), batches: optional(whole(1), 8) }), { every: 100, batches: 8 }),
  /** a checkpoint after so many steps or minutes, what comes first */
  save: optional(object({ steps: optional(whole(1), null), minutes: optional(positive, null) }), {
    steps: null,
    minutes: 5,
  }),
  /** texts that are continued for the report, by so many tokens */
  samples: optional(object({ prompts: list(text), tokens: optional(whole(1), 60) }), null),
  /** other runs, for comparison in one report */
  compare: optional(list(comparedReader), []),
})

export type TrainConfig = ReturnType<typeof trainConfigReader>
