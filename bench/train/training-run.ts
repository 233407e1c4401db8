import type { Device } from '../../src/device/index.ts'
import {
  type BatchSource,
  type ComputeDType,
  createTrainableDecoder,
  createTrainer,
  type TrainableDecoder,
  type Trainer,
} from '../../src/train/index.ts'
import { adamw } from '../../src/train/optimizers/adamw.ts'
import { llamaSpec } from '../llm/synthetic-checkpoint.ts'
import type { TrainCase } from './train-case.ts'

export interface TrainingRun {
  readonly model: TrainableDecoder
  readonly trainer: Trainer
  dispose(): void
}

/** A trainer of a fresh model on tokens of which each follows from the one before it, mostly. */
export async function trainingRun(device: Device, of: TrainCase, precision: ComputeDType): Promise<TrainingRun> {
  const model = await createTrainableDecoder(device, {
    from: { spec: llamaSpec(of.shape), seed: 1 },
    precision,
    rule: ({ shape }) => ({ weightDecay: shape.length === 2 ? 0.1 : 0 }),
  })
  const trainer = await createTrainer({
    device,
    model,
    source: chainedTokens(of),
    optimizer: adamw({ betas: [0.9, 0.95] }),
    learningRate: 1e-3,
  })
  return {
    model,
    trainer,
    dispose() {
      trainer.dispose()
      model.dispose()
    },
  }
}

/** Rows of tokens t′ = 5t + 3, a tenth of them drawn anew. */
function chainedTokens({ batch, length, shape }: TrainCase): BatchSource {
  let state = 12345
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return {
    batch,
    length,
    next() {
      const [inputs, targets] = [new Int32Array(batch * length), new Int32Array(batch * length)]
      for (let row = 0; row < batch; row++) {
        let token = Math.floor(draw() * shape.vocabSize)
        for (let t = 0; t < length; t++) {
          inputs[row * length + t] = token
          token = draw() < 0.1 ? Math.floor(draw() * shape.vocabSize) : (5 * token + 3) % shape.vocabSize
          targets[row * length + t] = token
        }
      }
      return { inputs, targets }
    },
    state: () => state,
    restore(saved) {
      state = Number(saved)
    },
  }
}
