import type { Device, Tensor } from '../../device/device.ts'
import { gatherRows } from '../../nn/gather-rows.ts'
import { meanRows } from '../../nn/mean-rows.ts'
import { FoveaError } from '../../tile/index.ts'
import { normalise } from '../apply-norm.ts'
import { runEncoder } from './encoder.ts'
import { type EncoderBufferName, EncoderBuffers, type EncoderLimits, encoderBufferSpecs } from './encoder-buffers.ts'
import type { Pooling } from './encoder-spec.ts'
import type { EncoderWeights } from './encoder-weights.ts'
import { enqueueScores } from './score-head.ts'

/** The tokens of a text, with what stands around it; `types` of each (0). */
export interface EncoderText {
  readonly tokens: readonly number[]
  readonly types?: readonly number[]
}

/** What a step gives of each text: a pooled hidden state [C], the hidden states of all tokens [N, C], or a score [1]. */
export type EncoderResult = Pooling | 'tokens' | 'score'

/** Runs packed texts through an encoder, in buffers that are allocated once; one step after the other. */
export class EncoderRunner {
  readonly device: Device
  readonly weights: EncoderWeights
  readonly limits: EncoderLimits
  readonly #buffers: EncoderBuffers
  #last: Promise<unknown> = Promise.resolve()

  constructor(device: Device, weights: EncoderWeights, limits: EncoderLimits, compute: 'f32' | 'f16') {
    this.device = device
    this.weights = weights
    this.limits = limits
    this.#buffers = new EncoderBuffers(
      device,
      encoderBufferSpecs(weights.spec, weights.head?.spec ?? null, limits, compute),
    )
  }

  /**
   * Runs a step when those before it are done. Rejects with `argument` for what is beyond the limits (no texts, a text without
   * tokens, tokens outside the vocabulary or beyond the positions among it).
   */
  run(texts: readonly EncoderText[], result: EncoderResult): Promise<Float32Array[]> {
    const step = this.#last.then(() => this.#run(texts, result))
    this.#last = step.catch(() => {})
    return step
  }

  dispose(): void {
    this.#buffers.dispose()
  }

  async #run(texts: readonly EncoderText[], result: EncoderResult): Promise<Float32Array[]> {
    const lengths = texts.map(({ tokens }) => tokens.length)
    const bounds = [0]
    for (const length of lengths) bounds.push((bounds.at(-1) as number) + length)
    const N = bounds.at(-1) as number
    this.#check(texts, N)
    const views: Tensor[] = []
    const view = (name: EncoderBufferName, shape: readonly number[]): Tensor => {
      const made = this.#buffers.view(name, shape)
      views.push(made)
      return made
    }
    try {
      const stream = await this.#encode(texts, bounds, view)
      const output = this.#result(stream, bounds, result, view)
      const values = (await output.read()) as Float32Array
      if (result !== 'tokens') return rowsOf(values, texts.length)
      const { hiddenSize } = this.weights.spec
      return lengths.map((_, i) =>
        values.slice((bounds[i] as number) * hiddenSize, (bounds[i + 1] as number) * hiddenSize),
      )
    } finally {
      for (const made of views) made.dispose()
    }
  }

  async #encode(
    texts: readonly EncoderText[],
    bounds: readonly number[],
    view: (name: EncoderBufferName, shape: readonly number[]) => Tensor,
  ): ReturnType<typeof runEncoder> {
    const { spec } = this.weights
    const { hiddenSize: C, layers } = spec
    const N = bounds.at(-1) as number
    const [{ attention, mlp }] = layers as [(typeof layers)[number]]
    const { numHeads: H, numKvHeads: G, headDim: D } = attention
    const sized = (name: EncoderBufferName, width: number, used = true) => view(name, used ? [N, width] : [0, width])
    const write = (name: 'ids' | 'places' | 'positions', values: readonly number[]) => {
      const tensor = view(name, [values.length])
      if (values.length > 0) tensor.write(Int32Array.from(values))
      return tensor
    }
    const turns = layers.some((layer) => layer.attention.rope)
    const beside = layers.some(
      ({ parallel, norms, branchScale }) => parallel || branchScale || norms.afterAttention || norms.afterMlp,
    )
    return runEncoder(this.device, this.weights, {
      ids: write(
        'ids',
        texts.flatMap(({ tokens }) => tokens),
      ),
      places: write('places', this.weights.placeTable ? texts.flatMap((text) => this.#places(text)) : []),
      positions: write('positions', turns ? texts.flatMap(({ tokens }) => tokens.map((_, i) => i)) : []),
      x: sized('x', C),
      spare: sized('spare', C),
      h: sized('h', C),
      y: sized('y', C, beside),
      qkv: sized('qkv', (H + 2 * G) * D),
      normed: sized('normed', (H + G) * D, attention.qkNorm !== null),
      turned: sized('turned', (H + G) * D, turns),
      attended: sized('attended', H * D),
      inner: sized('inner', mlp.size),
      lse: view('lse', [1, H, N]),
      bounds,
    })
  }

  /** Rows of `placeTable`: type · positions + position. */
  #places({ tokens, types }: EncoderText): number[] {
    const { positions } = this.weights.spec.embedding
    let next = positions?.first ?? 0
    return tokens.map((token, i) => {
      const padding = positions !== null && token === positions.padToken
      const position = positions === null ? 0 : padding ? (positions.padToken as number) : next++
      return (types?.[i] ?? 0) * (positions?.rows ?? 1) + position
    })
  }

  #result(
    { x, spare }: { readonly x: Tensor; readonly spare: Tensor },
    bounds: readonly number[],
    result: EncoderResult,
    view: (name: EncoderBufferName, shape: readonly number[]) => Tensor,
  ): Tensor {
    const { device, weights } = this
    const { finalNorm, head, spec } = weights
    const texts = bounds.length - 1
    const pooling = result === 'score' ? (head?.spec.pooling ?? 'cls') : result
    if (pooling === 'tokens' || pooling === 'mean') {
      const all = finalNorm ? normalise(device, finalNorm, x, spare) : x
      if (pooling === 'tokens') return all
      const runs = view('bounds', [texts, 2])
      runs.write(Int32Array.from({ length: 2 * texts }, (_, i) => bounds[(i + 1) >> 1] as number))
      const pooled = view('pooled', [texts, spec.hiddenSize])
      meanRows(device, { x: all, bounds: runs, output: pooled })
      return this.#scored(pooled, result, view)
    }
    const rows = view('bounds', [texts])
    rows.write(
      Int32Array.from(
        { length: texts },
        (_, i) => (pooling === 'cls' ? bounds[i] : (bounds[i + 1] as number) - 1) as number,
      ),
    )
    const pooled = view('pooled', [texts, spec.hiddenSize])
    gatherRows(device, { x, rows, output: pooled })
    const hidden = finalNorm ? normalise(device, finalNorm, pooled, view('hidden', pooled.shape)) : pooled
    return this.#scored(hidden, result, view)
  }

  #scored(
    pooled: Tensor,
    result: EncoderResult,
    view: (name: EncoderBufferName, shape: readonly number[]) => Tensor,
  ): Tensor {
    const { head } = this.weights
    if (result !== 'score') return pooled
    if (!head)
      throw new FoveaError('argument', 'runner.run', `${this.weights.spec.architecture} has no head that scores`)
    return enqueueScores(this.device, head, pooled, view)
  }

  #check(texts: readonly EncoderText[], N: number): void {
    const { tokens, texts: most } = this.limits
    const { vocabSize, maxPositions, embedding } = this.weights.spec
    const fault = (message: string) => new FoveaError('argument', 'runner.run', message)
    if (texts.length === 0 || texts.length > most || N > tokens)
      throw fault(`${N} tokens of ${texts.length} texts; a step takes ${tokens} tokens of 1 to ${most} texts`)
    for (const { tokens: own, types } of texts) {
      if (own.length === 0 || own.length > maxPositions)
        throw fault(`a text of ${own.length} tokens; they must be 1 to ${maxPositions}`)
      const wrong = own.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabSize)
      if (wrong !== undefined) throw fault(`token ${wrong} is none of ${vocabSize}`)
      const most = Math.max(1, embedding.tokenTypes)
      if (types && (types.length !== own.length || types.some((type) => !(type >= 0 && type < most))))
        throw fault(`types must be ${own.length} numbers below ${most}`)
    }
  }
}

function rowsOf(values: Float32Array, rows: number): Float32Array[] {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width))
}
