import type { DecoderSpec } from '../../src/model/decoder-spec.ts'
import { silu } from '../../src/nn/activations.ts'
import type { Batch, BatchSource } from '../../src/train/data/batch.ts'
import { randomNumbers } from '../../src/train/data/random-numbers.ts'

/** A Llama of a few thousand numbers. */
export function smallSpec(layers = 3, numKvHeads = 2): DecoderSpec {
  const norm = { kind: 'rms', eps: 1e-5, offset: 0, bias: false } as const
  const headDim = 16
  const rope = {
    rotaryDim: headDim,
    interleaved: false,
    inverseFrequencies: Array.from({ length: headDim / 2 }, (_, i) => 10_000 ** (-(2 * i) / headDim)),
    attentionFactor: 1,
  }
  const layer = {
    attention: {
      ...{ numHeads: 4, numKvHeads, headDim, scale: 1 / 4, softCap: null, window: null },
      ...{ rope, qkNorm: null, qkvBias: false, outputBias: false },
    },
    mlp: { size: 48, activation: silu, gated: true, bias: false },
    norms: { beforeAttention: norm, afterAttention: null, beforeMlp: norm, afterMlp: null },
    parallel: false,
  }
  return {
    ...{ architecture: 'llama', vocabSize: 61, hiddenSize: 32, maxPositions: 64 },
    embedding: { scale: 1, learnedPositions: false },
    layers: Array.from({ length: layers }, () => layer),
    finalNorm: norm,
    logits: { softCap: null, tied: true, bias: false },
    ...{ bosToken: null, eosTokens: [] },
  }
}

/** Rows in which each token but the first is a function of the one before, so that there is something to learn. */
export function countingSource({ batch = 2, length = 24, documents = false, seed = 1 } = {}): BatchSource {
  let step = 0
  return {
    batch,
    length,
    next(): Batch {
      const random = randomNumbers(seed, step++)
      const rows = Array.from({ length: batch }, () => {
        const tokens = [random.below(61)]
        while (tokens.length <= length) tokens.push(((tokens.at(-1) as number) * 3 + 7) % 61)
        return tokens
      })
      return {
        inputs: Int32Array.from(rows.flatMap((row) => row.slice(0, length))),
        targets: Int32Array.from(rows.flatMap((row) => row.slice(1).map((token, i) => (i % 5 === 4 ? -1 : token)))),
        ...(documents && {
          documents: Int32Array.from({ length: batch * length }, (_, i) => Math.floor((i % length) / 10)),
        }),
      }
    },
    state: () => step,
    restore(state) {
      step = state as number
    },
  }
}
