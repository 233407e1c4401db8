import { attention } from '../../attention/attention.ts'
import type { MaskMod } from '../../attention/hooks.ts'
import { causal } from '../../attention/masks/causal.ts'
import { slidingWindow } from '../../attention/masks/sliding-window.ts'
import { softCap } from '../../attention/scores/soft-cap.ts'
import type { Device, Tensor } from '../../device/device.ts'
import type { Tiling } from '../../device/tuning.ts'
import { embed } from '../../nn/embedding.ts'
import { linear } from '../../nn/linear.ts'
import type { LinearWeight } from '../../nn/place-linear.ts'
import { applyRope } from '../../nn/rope.ts'
import { normalise, normalised } from '../apply-norm.ts'
import type { PlacedLayer } from '../decoder-weights.ts'
import { addSublayer, enqueueMlp } from '../enqueue-mlp.ts'
import type { PlacedNorm } from '../placed-norm.ts'
import type { EncoderWeights } from './encoder-weights.ts'

/** Tensors of a step of N tokens of several packed texts. */
export interface EncoderViews {
  readonly ids: Tensor // i32 [N]
  /** of `placeTable` */
  readonly places: Tensor // i32 [N]
  /** of rotary positions */
  readonly positions: Tensor // i32 [N]
  /** the residual stream, and where a norm of it is written */
  readonly x: Tensor // f32 [N, C]
  readonly spare: Tensor // f32 [N, C]
  /** what layers read */
  readonly h: Tensor // [N, C]
  /** what a sublayer gives where a norm follows it, and the second input of parallel layers */
  readonly y: Tensor // [N, C]
  readonly qkv: Tensor // [N, (H + 2G)·D]
  /** queries and keys that were normalised, and that were turned */
  readonly normed: Tensor // [N, (H + G)·D]
  readonly turned: Tensor // [N, (H + G)·D]
  readonly attended: Tensor // [N, H·D]
  readonly lse: Tensor // f32 [1, H, N]
  readonly inner: Tensor // [N, I]
  /** where each text begins in the step, and the end: host numbers */
  readonly bounds: readonly number[]
}

/**
 * Runs packed texts through every layer of an encoder (Vaswani et al. 2017, arXiv 1706.03762; the forms that
 * `EncoderLayerSpec` tells): each text attends to itself alone, both ways unless the encoder is causal, and nothing is kept.
 * Resolves, when all is enqueued, to which of `x` and `spare` holds the last hidden states, before the final norm, and which
 * is free.
 */
export async function runEncoder(
  device: Device,
  weights: EncoderWeights,
  views: EncoderViews,
): Promise<{ readonly x: Tensor; readonly spare: Tensor }> {
  const { spec, placeTable } = weights
  const stream = new Stream(device, views)
  embed(device, {
    table: weights.embedding,
    ids: views.ids,
    scale: spec.embedding.scale,
    ...(placeTable && { positionTable: placeTable, positions: views.places }),
    output: stream.x,
  })
  stream.normalise(weights.embeddingNorm)
  for (const layer of weights.layers) {
    const { norms, spec: of } = layer
    const scale = of.branchScale ?? { attention: 1, mlp: 1 }
    // both sublayers of a parallel layer read what it was given
    const given = of.parallel && norms.beforeMlp ? normalise(device, norms.beforeMlp, stream.x, views.y) : null
    await attend(device, layer, spec.causal, stream.read(norms.beforeAttention, layer.qkv[0]?.weight), views)
    addSublayer(
      device,
      views.attended,
      layer.attentionOutput,
      norms.afterAttention,
      { ...views, x: stream.x },
      scale.attention,
    )
    stream.normalise(layer.sumNorms.attention)
    if (layer.mlp) {
      const input = given ? { x: given } : stream.read(norms.beforeMlp, layer.mlp.up)
      const inner = enqueueMlp(device, layer.mlp, input, views.inner)
      addSublayer(device, inner, layer.mlp.down, norms.afterMlp, { ...views, x: stream.x }, scale.mlp)
    }
    stream.normalise(layer.sumNorms.mlp)
  }
  return stream
}

/** The residual stream of a step, which changes places with `spare` whenever it is normalised as a whole. */
class Stream {
  x: Tensor
  /** what a sublayer reads that has no norm before it: x, as layers read it */
  #plain: Tensor
  spare: Tensor
  readonly #device: Device
  readonly #h: Tensor

  constructor(device: Device, { x, spare, h }: EncoderViews) {
    this.#device = device
    this.x = x
    this.#plain = x
    this.spare = spare
    this.#h = h
  }

  /** x = norm(x) */
  normalise(norm: PlacedNorm | null): void {
    if (!norm) {
      this.#plain = this.x
      return
    }
    normalise(this.#device, norm, this.x, this.spare)
    // matrix units read narrow floats
    const narrow = this.#h.dtype !== 'f32'
    this.#plain = narrow ? normalise(this.#device, norm, this.x, this.#h) : this.spare
    ;[this.x, this.spare] = [this.spare, this.x]
  }

  /** What a sublayer reads whose first layer is `reader`. */
  read(norm: PlacedNorm | null, reader: LinearWeight | undefined): ReturnType<typeof normalised> {
    if (!norm || !reader) return { x: this.#plain }
    return normalised(this.#device, norm, reader, this.x, this.#h)
  }
}

async function attend(
  device: Device,
  layer: PlacedLayer,
  isCausal: boolean,
  input: ReturnType<typeof normalised>,
  views: EncoderViews,
): Promise<void> {
  const { numHeads: H, numKvHeads: G, headDim: D, scale, softCap: cap, window } = layer.spec.attention
  for (const { weight, column } of layer.qkv) {
    const output = views.qkv.slice(1, column, column + weight.outFeatures)
    linear(device, { ...input, weight, output })
    output.dispose()
  }
  const turned = queriesAndKeys(device, layer, views)
  const made: Tensor[] = []
  const heads = (tensor: Tensor, from: number, count: number) => {
    const view = headView(tensor, from, count, D, true)
    made.push(view)
    return view
  }
  const maskMod = maskOf(isCausal, window)
  const fitted = fittedTiling(device, views, D)
  try {
    await attention(device, {
      query: heads(turned, 0, H),
      key: heads(turned, H, G),
      value: heads(views.qkv, H + G, G),
      scale,
      ...(maskMod && { maskMod }),
      ...(cap !== null && { scoreMod: softCap(cap) }),
      cuSeqlensQ: views.bounds,
      ...(fitted && { tiling: fitted }),
      output: heads(views.attended, 0, H),
      lse: views.lse,
    })
  } finally {
    for (const view of made) view.dispose()
  }
}

/** Tiles of no more than the longest text: empty rows cost a CPU as much as full ones. Powers of two, so that few programs arise. */
function fittedTiling(device: Device, { bounds, qkv }: EncoderViews, D: number): Tiling | null {
  if (device.kind === 'webgpu') return null
  const longest = bounds.reduce((most, end, i) => Math.max(most, end - (bounds[i - 1] ?? 0)), 1)
  const tuned = device.tiling('flash', { dtype: qkv.dtype as 'f32' | 'f16', headDim: D, valueDim: D })
  const most = Math.max(8, 2 ** Math.ceil(Math.log2(longest)))
  return { ...tuned, tileQ: Math.min(tuned.tileQ, most), tileK: Math.min(tuned.tileK, most) }
}

/** Queries and keys, normalised and turned where the layer says so, in the columns that they have in qkv. */
function queriesAndKeys(device: Device, layer: PlacedLayer, views: EncoderViews): Tensor {
  const { numHeads: H, numKvHeads: G, headDim: D, qkNorm } = layer.spec.attention
  let from = views.qkv
  const { queryNorm, keyNorm } = layer
  if (qkNorm && queryNorm && keyNorm) {
    const side = (weight: Tensor, first: number, count: number) => {
      const [given, output] = [from, views.normed].map((tensor) => {
        const view = headView(tensor, first, count, D, false)
        if (qkNorm.over === 'head') return view
        const row = tensor.slice(1, first * D, (first + count) * D)
        view.dispose()
        return row
      }) as [Tensor, Tensor]
      normalise(device, { spec: qkNorm.norm, weight, bias: null }, given, output)
      given.dispose()
      output.dispose()
    }
    side(queryNorm, 0, H)
    side(keyNorm, H, G)
    from = views.normed
  }
  if (!layer.rope) return from
  const [x, output] = [headView(from, 0, H + G, D, false), headView(views.turned, 0, H + G, D, false)]
  const { tables, interleaved } = layer.rope
  applyRope(device, { x, positions: views.positions, tables, interleaved, output })
  x.dispose()
  output.dispose()
  return views.turned
}

/** Heads `from` … of rows of heads of width D: [N, count, D], or [1, N, count, D] when `batched`. */
function headView(tensor: Tensor, from: number, count: number, D: number, batched: boolean): Tensor {
  const [rows = 0] = tensor.shape
  const stride = tensor.strides[0] as number
  const shape = [rows, count, D]
  const strides = [stride, D, 1]
  return tensor.view({
    shape: batched ? [1, ...shape] : shape,
    strides: batched ? [rows * stride, ...strides] : strides,
    offset: tensor.offset + from * D,
  })
}

/** Keys fewer than `window` tokens away, before a query or on both sides; null for all. */
function maskOf(isCausal: boolean, window: number | null): MaskMod | null {
  if (window === null) return isCausal ? causal : null
  return slidingWindow(window - 1, isCausal ? 0 : window - 1)
}
