import type { LlamaShape } from '../llm/synthetic-checkpoint.ts'

/** A model and the batches that it is trained on. */
export interface TrainCase {
  readonly title: string
  readonly shape: LlamaShape
  readonly batch: number
  readonly length: number
  readonly steps: number
}

/** 16 million parameters, as the shipped model has them; a step of 32,768 tokens. */
export const fullCase: TrainCase = {
  title: 'Llama of 16 M',
  shape: {
    ...{ layers: 8, hiddenSize: 384, numHeads: 6, numKvHeads: 2, headDim: 64, mlpSize: 1024 },
    ...{ vocabSize: 8192, maxPositions: 8192 },
  },
  batch: 16,
  length: 2048,
  steps: 24,
}

/** For testing the benchmark, and for the comparison of losses. */
export const toyCase: TrainCase = {
  title: 'Llama of 1 M',
  shape: {
    ...{ layers: 2, hiddenSize: 128, numHeads: 4, numKvHeads: 2, headDim: 32, mlpSize: 256 },
    ...{ vocabSize: 512, maxPositions: 256 },
  },
  batch: 2,
  length: 128,
  steps: 6,
}
