import type { PagePool } from '../attention/paged/page-pool.ts'
import { pagedAttention } from '../attention/paged/paged-attention.ts'
import { writePages } from '../cache/write-pages.ts'
import type { WriteNorm } from '../cache/write-pages-spec.ts'
import type { Device, Tensor } from '../device/device.ts'
import { accumulate } from '../nn/accumulate.ts'
import { embed } from '../nn/embedding.ts'
import { gateHeads } from '../nn/gate-heads.ts'
import { gatedLinear } from '../nn/gated-mlp.ts'
import { gatherRows } from '../nn/gather-rows.ts'
import { layerNorm } from '../nn/layer-norm.ts'
import { linear } from '../nn/linear.ts'
import type { LinearWeight } from '../nn/place-linear.ts'
import { rmsNorm } from '../nn/rms-norm.ts'
import { type FusedNorm, fusesNorm } from '../nn/weights/fused-norm.ts'
import { xielu } from '../nn/xielu.ts'
import type { AttentionSpec } from './decoder-spec.ts'
import type { DecoderWeights, PlacedLayer, PlacedNorm } from './decoder-weights.ts'
import { headsKey, visibilityKey } from './plan-heads.ts'
import type { AttentionCall, HeadViews, StepViews } from './step-views.ts'

/**
 * Enqueues a step of a decoder-only transformer (Vaswani et al. 2017, arXiv 1706.03762, in the forms that `LayerSpec` tells):
 * N tokens of several sequences, packed, through every layer; their keys and values go into the pages, and the last hidden
 * states of the rows that are asked for to `step.rows.gathered`. Nothing is allocated: `device.record` can keep it.
 */
export function enqueueDecoder(
  device: Device,
  weights: DecoderWeights,
  pools: readonly PagePool[],
  step: StepViews,
): void {
  const { spec, positionTable, embeddingNorm } = weights
  const { ids, positions, x } = step
  const embedded = embeddingNorm ? step.embedded : x
  embed(device, {
    table: weights.embedding,
    ids,
    scale: spec.embedding.scale,
    ...(positionTable && { positionTable, positions }),
    output: embedded,
  })
  if (embeddingNorm) normalise(device, embeddingNorm, embedded, x)
  weights.layers.forEach((layer, i) => {
    enqueueLayer(device, layer, pools[i] as PagePool, step)
  })
  if (step.rows) gatherRows(device, { x, rows: step.rows.indices, output: step.rows.gathered })
}

/** Enqueues the logits of the rows that `enqueueDecoder` gathered, before any soft cap. */
export function enqueueLogits(
  device: Device,
  { finalNorm, head }: DecoderWeights,
  { gathered, hidden }: NonNullable<StepViews['rows']>,
  logits: Tensor,
): void {
  // with as many outputs as a vocabulary, a norm in the product costs more than its own kernel
  linear(device, { x: normalise(device, finalNorm, gathered, hidden), weight: head, output: logits })
}

function enqueueLayer(device: Device, layer: PlacedLayer, pool: PagePool, step: StepViews): void {
  const { x, h, y } = step
  const { norms, spec } = layer
  const scale = spec.branchScale ?? { attention: 1, mlp: 1 }
  // both sublayers of a parallel layer read what it was given
  const parallelInput = spec.parallel && norms.beforeMlp ? normalise(device, norms.beforeMlp, x, y) : null
  const attended = enqueueAttention(device, layer, pool, step)
  addSublayer(device, attended, layer.attentionOutput, norms.afterAttention, step, scale.attention)
  const input = parallelInput ? { x: parallelInput } : normalised(device, norms.beforeMlp, layer.up, x, h)
  addSublayer(device, enqueueMlp(device, layer, input, step), layer.down, norms.afterMlp, step, scale.mlp)
}

/** What a linear layer reads: x, with a norm that its own kernels apply. */
interface LinearInput {
  readonly x: Tensor
  readonly norm?: FusedNorm
}

function enqueueMlp(device: Device, layer: PlacedLayer, input: LinearInput, step: StepViews): Tensor {
  const { activation, combine, gated, size } = layer.spec.mlp
  const output = step.inner.get(size) as Tensor
  const up = { ...input, weight: layer.up, output }
  if (gated) gatedLinear(device, { ...up, activation, combine })
  else linear(device, layer.xielu ? up : { ...up, activation })
  if (layer.xielu) xielu(device, { ...layer.xielu, output })
  return output
}

/** x += scale · norm(weight · input) */
export function addSublayer(
  device: Device,
  input: Tensor,
  weight: LinearWeight,
  norm: PlacedNorm | null,
  { x, y, h }: Pick<StepViews, 'x' | 'y' | 'h'>,
  scale = 1,
): void {
  if (!norm && scale === 1) {
    linear(device, { x: input, weight, output: x, accumulate: true })
    return
  }
  linear(device, { x: input, weight, output: y })
  accumulate(device, { x: norm ? normalise(device, norm, y, h) : y, output: x, scale })
}

/** What attention gives, before its output matrix. */
function enqueueAttention(device: Device, layer: PlacedLayer, pool: PagePool, step: StepViews): Tensor {
  const { attention } = layer.spec
  const { qkv, query, attended, gate, attention: calls } = step.heads.get(headsKey(attention)) as HeadViews
  const [{ weight: first }] = layer.qkv as readonly [PlacedLayer['qkv'][number]]
  const input = normalised(device, layer.norms.beforeAttention, first, step.x, step.h)
  for (const { weight, column } of layer.qkv) {
    const output = qkv.slice(1, column, column + weight.outFeatures)
    linear(device, { ...input, weight, output })
    output.dispose()
  }
  const gates = layer.gate && gate.get(layer.gate.outFeatures)
  if (layer.gate && gates) linear(device, { ...input, weight: layer.gate, output: gates })
  const { qkNorm, clip, temperature, valueNormEps } = attention
  const norm = (weight: Tensor | null) => qkNorm && weight && { ...writeNorm(qkNorm), weight }
  writePages(device, {
    qkv,
    positions: step.positions,
    slots: step.slots,
    recentSlots: step.recentSlots,
    rope: layer.rope,
    queryNorm: norm(layer.queryNorm),
    keyNorm: norm(layer.keyNorm),
    changes: { clip, temperature, valueNormEps },
    pages: pool,
    query,
  })
  for (const call of calls) attend(device, layer, pool, step, call)
  if (gates && attention.gate)
    gateHeads(device, { gate: gates, activation: attention.gate.activation, output: attended })
  return attended
}

function writeNorm({ norm, over, afterRope }: NonNullable<AttentionSpec['qkNorm']>): WriteNorm {
  const { kind, eps, offset } = norm
  return { kind, eps, offset, over, afterRope: afterRope === true }
}

function attend(
  device: Device,
  { spec, sinkLogits, alibiSlopes }: PlacedLayer,
  pool: PagePool,
  step: StepViews,
  call: AttentionCall,
): void {
  const { scale, softCap } = spec.attention
  const key = visibilityKey(spec.attention)
  const visible = call.works.get(key)
  if (!visible) throw new RangeError(`no work was planned for ${key}`)
  pagedAttention(device, {
    query: call.query,
    pages: pool,
    pageTable: step.pageTable,
    work: visible.work,
    tiling: call.tiling,
    splits: call.splits,
    ...(call.states && { states: call.states }),
    scale,
    softCap,
    window: visible.window,
    sinks: visible.sinks,
    chunk: visible.chunk,
    sinkLogits,
    alibiSlopes,
    output: call.output,
  })
}

/** What a linear layer reads: x with a norm that its own kernels apply, where they can, or what is normalised into `output`. */
export function normalised(
  device: Device,
  norm: PlacedNorm | null,
  reader: LinearWeight,
  x: Tensor,
  output: Tensor,
): LinearInput {
  if (!norm) return { x }
  const { spec, weight } = norm
  if (spec.kind === 'rms' && fusesNorm(reader, x.shape[0] as number))
    return { x, norm: { weight, eps: spec.eps, offset: spec.offset } }
  return { x: normalise(device, norm, x, output) }
}

export function normalise(device: Device, { spec, weight, bias }: PlacedNorm, x: Tensor, output: Tensor): Tensor {
  const { eps, offset } = spec
  if (spec.kind === 'rms') return rmsNorm(device, { x, weight, eps, offset, output })
  return layerNorm(device, { x, weight, ...(bias && { bias }), eps, offset, output })
}
