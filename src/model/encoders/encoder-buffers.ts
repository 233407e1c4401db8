import type { Device, Tensor } from '../../device/device.ts'
import { FoveaError, type StorageDType, storageBytes } from '../../tile/index.ts'
import type { EncoderSpec, ScoreHeadSpec } from './encoder-spec.ts'

/** The largest step that an encoder makes, which all of its buffers are allocated for. */
export interface EncoderLimits {
  /** tokens of all texts of a step together */
  readonly tokens: number
  /** texts of a step */
  readonly texts: number
}

export type EncoderBufferName =
  | 'ids'
  | 'places'
  | 'positions'
  | 'bounds'
  | 'x'
  | 'spare'
  | 'h'
  | 'y'
  | 'qkv'
  | 'normed'
  | 'turned'
  | 'attended'
  | 'inner'
  | 'lse'
  | 'pooled'
  | 'hidden'
  | 'dense'
  | 'scores'

type BufferSpecs = Readonly<Record<EncoderBufferName, { readonly elements: number; readonly dtype: StorageDType }>>

/** Elements and dtype of every buffer of a step: what a plan says is what is allocated. */
export function encoderBufferSpecs(
  spec: EncoderSpec,
  head: ScoreHeadSpec | null,
  { tokens, texts }: EncoderLimits,
  compute: 'f32' | 'f16',
): BufferSpecs {
  const { hiddenSize: C, layers, embedding } = spec
  const widest = (width: (layer: (typeof layers)[number]) => number) =>
    layers.reduce((most, layer) => Math.max(most, width(layer)), 0)
  const some = (has: (layer: (typeof layers)[number]) => unknown) => layers.some((layer) => Boolean(has(layer)))
  const queryKey = widest(({ attention: { numHeads, numKvHeads, headDim } }) => (numHeads + numKvHeads) * headDim)
  const value = widest(({ attention: { numKvHeads, headDim } }) => numKvHeads * headDim)
  const i32 = (elements: number) => ({ elements, dtype: 'i32' as const })
  const f32 = (elements: number) => ({ elements, dtype: 'f32' as const })
  const narrow = (elements: number) => ({ elements, dtype: compute })
  const beside = some(
    ({ parallel, norms, branchScale }) => parallel || branchScale || norms.afterAttention || norms.afterMlp,
  )
  return {
    ids: i32(tokens),
    places: i32(embedding.positions || embedding.tokenTypes > 0 ? tokens : 0),
    positions: i32(some(({ attention }) => attention.rope) ? tokens : 0),
    bounds: i32(2 * texts),
    x: f32(tokens * C),
    // every token is normalised at the end before a mean, too
    spare: f32(tokens * C),
    h: narrow(tokens * C),
    y: narrow(beside ? tokens * C : 0),
    qkv: narrow(tokens * (queryKey + value)),
    normed: narrow(some(({ attention }) => attention.qkNorm) ? tokens * queryKey : 0),
    turned: narrow(some(({ attention }) => attention.rope) ? tokens * queryKey : 0),
    attended: narrow(tokens * widest(({ attention: { numHeads, headDim } }) => numHeads * headDim)),
    inner: narrow(tokens * widest(({ mlp }) => mlp.size)),
    lse: f32(tokens * widest(({ attention }) => attention.numHeads)),
    pooled: f32(texts * C),
    hidden: f32(texts * C),
    dense: f32(head ? texts * C : 0),
    scores: f32(head ? texts : 0),
  }
}

/** Bytes of all buffers of a step, with what attention over a few short texts allocates for its states besides. */
export function encoderBufferBytes(
  spec: EncoderSpec,
  head: ScoreHeadSpec | null,
  limits: EncoderLimits,
  compute: 'f32' | 'f16',
): number {
  const sizes = Object.values(encoderBufferSpecs(spec, head, limits, compute))
  const bytes = sizes.reduce((sum, { elements, dtype }) => sum + Math.max(4, elements * storageBytes[dtype]), 0)
  const states = spec.layers.reduce((most, { attention: { numHeads, headDim } }) => {
    return Math.max(most, numHeads * (headDim + 2))
  }, 0)
  return bytes + 4 * limits.tokens * states
}

/** The buffers of a step, flat; views of them are made for each step. */
export class EncoderBuffers {
  readonly #tensors = new Map<EncoderBufferName, Tensor>()

  constructor(device: Device, specs: BufferSpecs) {
    try {
      for (const [name, { elements, dtype }] of Object.entries(specs))
        this.#tensors.set(name as EncoderBufferName, device.zeros([elements], dtype))
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  /** The first elements of a buffer, in a shape. */
  view(name: EncoderBufferName, shape: readonly number[]): Tensor {
    return (this.#tensors.get(name) as Tensor).view({ shape, offset: 0 })
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose()
    this.#tensors.clear()
  }
}

/** Throws `limit` naming the largest buffer where the device holds or binds none so large. */
export function checkEncoderBuffers(where: string, device: Device, specs: BufferSpecs, limits: EncoderLimits): void {
  const { maxBufferSize, maxStorageBufferBindingSize, maxBytes } = device.info.limits
  const known = [maxBufferSize, maxStorageBufferBindingSize, maxBytes].filter((bytes) => bytes !== undefined)
  const most = Math.min(...known, Number.POSITIVE_INFINITY)
  for (const [name, { elements, dtype }] of Object.entries(specs)) {
    const bytes = elements * storageBytes[dtype]
    if (bytes > most)
      throw new FoveaError(
        'limit',
        where,
        `a step of ${limits.tokens} tokens needs a buffer ${name} of ${bytes} bytes, the ${device.kind} device allows ${most}; take a smaller batchTokens or maxTokens`,
      )
  }
}
