import { randomNormal } from '../../src/cli/random-normal.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import type { DecoderSpec, NormSpec } from '../../src/model/decoder-spec.ts'
import type { Tokenizer } from '../../src/model/tokenizer.ts'
import { silu } from '../../src/nn/activations.ts'
import type { MatrixData } from '../../src/nn/weight-data.ts'
import { toHalfBits } from '../../src/tile/index.ts'

/** The sizes of a model of Llama's shape, its embedding tied. */
export interface LlamaShape {
  readonly layers: number
  readonly hiddenSize: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly mlpSize: number
  readonly vocabSize: number
  readonly maxPositions: number
}

/** Llama 3.2 1B: 1.24 billion parameters. */
export const llama1b: LlamaShape = {
  layers: 16,
  hiddenSize: 2048,
  numHeads: 32,
  numKvHeads: 8,
  headDim: 64,
  mlpSize: 8192,
  vocabSize: 128_256,
  maxPositions: 16_384,
}

/** A model for testing: the same parts, small enough for a CPU. */
export const llamaToy: LlamaShape = {
  layers: 2,
  hiddenSize: 256,
  numHeads: 8,
  numKvHeads: 2,
  headDim: 64,
  mlpSize: 768,
  vocabSize: 2048,
  maxPositions: 4096,
}

/** f16 numbers drawn once; a prime, so that rows of any power of two stand differently in it */
const period = 1_048_573

/**
 * A checkpoint that no file holds: f16 weights from a normal distribution of deviation 1/√inputs, so that what a layer gives
 * is about as large as what it takes. Matrices of one deviation are windows into one array that repeats, each from a place that
 * its name decides: nothing is drawn twice, and no two matrices are equal.
 */
export function syntheticCheckpoint(shape: LlamaShape): Checkpoint {
  const spec = llamaSpec(shape)
  const matrices = matrixShapes(shape)
  const matrixInfo = (name: string) => {
    const sizes = matrices.get(name.replace(/^layers\.\d+\./, ''))
    if (!sizes) throw new Error(`syntheticCheckpoint: there is no matrix ${name}`)
    return { dtype: 'f16' as const, rows: sizes[0], cols: sizes[1] }
  }
  const most = Math.max(...[...matrices.values()].map(([rows, cols]) => rows * cols))
  const drawn = randomNormal(period, 1)
  const repeated = new Map<number, Uint8Array>()
  const bytesFor = (cols: number): Uint8Array => {
    const made = repeated.get(cols) ?? repeat(drawn, 1 / Math.sqrt(cols), most + period)
    repeated.set(cols, made)
    return made
  }
  return {
    source: `synthetic Llama of ${(parameters(shape) / 1e9).toFixed(2)} B parameters`,
    spec,
    tokenizer: numberTokenizer(shape.vocabSize),
    fingerprint: `synthetic ${JSON.stringify(shape)}`,
    byteLength: 2 * parameters(shape),
    has: (name) => name.includes('norm') || name.includes('Norm') || matrices.has(name.replace(/^layers\.\d+\./, '')),
    matrixInfo,
    async matrix(name): Promise<MatrixData> {
      const info = matrixInfo(name)
      const at = 2 * (hash(name) % period)
      return { ...info, bytes: bytesFor(info.cols).subarray(at, at + 2 * info.rows * info.cols) }
    },
    // the weights of normalisations alone: nothing has a bias
    vector: async (name) => randomNormal(shape.hiddenSize, hash(name)).map((x) => 1 + 0.1 * x),
    async close() {
      repeated.clear()
    },
  }
}

/** Parameters of the matrices, the embedding once. */
export function parameters(shape: LlamaShape): number {
  return [...matrixShapes(shape)].reduce(
    (sum, [name, [rows, cols]]) => sum + rows * cols * (name === 'tokenEmbedding' ? 1 : shape.layers),
    0,
  )
}

function matrixShapes(shape: LlamaShape): Map<string, readonly [rows: number, cols: number]> {
  const { hiddenSize: C, numHeads, numKvHeads, headDim, mlpSize, vocabSize } = shape
  return new Map([
    ['tokenEmbedding', [vocabSize, C]],
    ['attention.query', [numHeads * headDim, C]],
    ['attention.key', [numKvHeads * headDim, C]],
    ['attention.value', [numKvHeads * headDim, C]],
    ['attention.output', [C, numHeads * headDim]],
    ['mlp.gate', [mlpSize, C]],
    ['mlp.up', [mlpSize, C]],
    ['mlp.down', [C, mlpSize]],
  ])
}

/** The architecture alone. */
export function llamaSpec(shape: LlamaShape): DecoderSpec {
  const { numHeads, numKvHeads, headDim } = shape
  const norm: NormSpec = { kind: 'rms', eps: 1e-5, offset: 0, bias: false }
  const inverseFrequencies = Array.from({ length: headDim / 2 }, (_, i) => 500_000 ** ((-2 * i) / headDim))
  return {
    architecture: 'llama',
    vocabSize: shape.vocabSize,
    hiddenSize: shape.hiddenSize,
    maxPositions: shape.maxPositions,
    embedding: { scale: 1, learnedPositions: false },
    layers: Array.from({ length: shape.layers }, () => ({
      attention: {
        ...{ numHeads, numKvHeads, headDim, scale: headDim ** -0.5, softCap: null, window: null, qkNorm: null },
        rope: { rotaryDim: headDim, interleaved: false, inverseFrequencies, attentionFactor: 1 },
        ...{ qkvBias: false, outputBias: false },
      },
      mlp: { size: shape.mlpSize, activation: silu, gated: true, bias: false },
      norms: { beforeAttention: norm, afterAttention: null, beforeMlp: norm, afterMlp: null },
      parallel: false,
    })),
    finalNorm: norm,
    logits: { softCap: null, tied: true, bias: false },
    bosToken: null,
    eosTokens: [],
  }
}

/** The drawn numbers times `scale` as f16 bits, again and again. */
function repeat(drawn: Float32Array, scale: number, count: number): Uint8Array {
  const bits = new Uint16Array(count)
  bits.set(Uint16Array.from(drawn, (x) => toHalfBits(x * scale)).subarray(0, count))
  // what is filled is a whole number of periods until the end
  for (let filled = period; filled < count; filled *= 2) bits.copyWithin(filled, 0, Math.min(filled, count - filled))
  return new Uint8Array(bits.buffer)
}

/** Texts are numbers: " 12 7". */
function numberTokenizer(vocabSize: number): Tokenizer {
  const text = (token: number) => ` ${token}`
  const encode = (given: string) => given.split(' ').filter(Boolean).map(Number)
  return {
    vocabSize,
    bosToken: null,
    eosTokens: [],
    encode,
    encodeAsync: async (given) => encode(given),
    decode: (tokens) => tokens.map(text).join(''),
    piece: (token) => ({ text: text(token), bytes: new TextEncoder().encode(text(token)) }),
    isSpecial: () => false,
    hasChatTemplate: false,
    applyChatTemplate: () => {
      throw new Error('syntheticCheckpoint: there is no chat template')
    },
    encodeChat: () => {
      throw new Error('syntheticCheckpoint: there is no chat template')
    },
  }
}

/** FNV-1a of 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
