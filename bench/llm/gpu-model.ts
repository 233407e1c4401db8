import type { PageFormat } from '../../src/attention/paged/page-pool.ts'
import { type LlamaShape, llama1b, llamaToy, parameters } from './synthetic-checkpoint.ts'

/** A model, and how long its context and its steps are. */
export interface GpuModelCase {
  readonly title: string
  readonly shape: LlamaShape
  readonly tokens: number
  readonly chunks: readonly number[]
  readonly decodeSteps: number
  readonly copyBytes: number
}

/** What issue 3 asks for. */
export const fullCase: GpuModelCase = {
  title: 'Llama 1.2 B, f16',
  shape: llama1b,
  tokens: 8192,
  chunks: [512, 1024, 2048, 4096],
  decodeSteps: 32,
  copyBytes: 2 ** 29,
}

/** What a software GPU runs in a minute: for testing the benchmark, not the device. */
export const quickCase: GpuModelCase = {
  title: 'toy Llama',
  shape: llamaToy,
  tokens: 96,
  chunks: [32, 48],
  decodeSteps: 2,
  copyBytes: 2 ** 20,
}

/** Operations of a prefill of N tokens, causal, the logits of the last one. */
export function prefillOperations({ shape, tokens }: GpuModelCase): number {
  const { layers, numHeads, headDim, vocabSize, hiddenSize } = shape
  const head = vocabSize * hiddenSize
  return 2 * (parameters(shape) - head) * tokens + 2 * head + 2 * layers * numHeads * headDim * tokens ** 2
}

/** Bytes that a token of decode has to read at a context: all weights but the table's other rows, and keys and values. */
export function decodeBytes({ shape }: GpuModelCase, context: number, format: PageFormat): number {
  const { layers, numKvHeads, headDim } = shape
  const element = { f32: 4, f16: 2, bf16: 2, q8: 1, q4: 0.5 }[format]
  return 2 * parameters(shape) + context * layers * 2 * numKvHeads * headDim * element
}
