import type { PagePool } from '../attention/paged/page-pool.ts'
import { pagedAttention } from '../attention/paged/paged-attention.ts'
import { writePages } from '../cache/write-pages.ts'
import type { Device, Tensor } from '../device/device.ts'
import { accumulate } from '../nn/accumulate.ts'
import { embed } from '../nn/embedding.ts'
import { gatedLinear } from '../nn/gated-mlp.ts'
import { gatherRows } from '../nn/gather-rows.ts'
import { layerNorm } from '../nn/layer-norm.ts'
import { linear } from '../nn/linear.ts'
import { rmsNorm } from '../nn/rms-norm.ts'
import type { DecoderWeights, PlacedLayer, PlacedNorm } from './decoder-weights.ts'
import type { AttentionCall, StepViews } from './step-views.ts'

/**
 * Enqueues a step of a decoder-only transformer (Vaswani et al. 2017, arXiv 1706.03762, in the forms that `LayerSpec` tells):
 * N tokens of several sequences, packed, through every layer; their keys and values go into the pages, and the normalised
 * last hidden states of the rows that are asked for to `step.hiddenRows`. Nothing is allocated: `device.record` can keep it.
 */
export function enqueueDecoder(
  device: Device,
  weights: DecoderWeights,
  pools: readonly PagePool[],
  step: StepViews,
): void {
  const { spec, positionTable } = weights
  const { ids, positions, x } = step
  embed(device, {
    table: weights.embedding,
    ids,
    scale: spec.embedding.scale,
    ...(positionTable && { positionTable, positions }),
    output: x,
  })
  weights.layers.forEach((layer, i) => {
    enqueueLayer(device, layer, pools[i] as PagePool, step)
  })
  if (!step.rows) return
  gatherRows(device, { x, rows: step.rows.indices, output: step.rows.gathered })
  normalise(device, weights.finalNorm, step.rows.gathered, step.rows.hidden)
}

/** Enqueues the logits of rows of hidden states, before any soft cap. */
export function enqueueLogits(device: Device, weights: DecoderWeights, hidden: Tensor, logits: Tensor): void {
  linear(device, { x: hidden, weight: weights.head, output: logits })
}

function enqueueLayer(device: Device, layer: PlacedLayer, pool: PagePool, step: StepViews): void {
  const { x, h, y } = step
  const { norms, spec } = layer
  const attentionInput = norms.beforeAttention ? normalise(device, norms.beforeAttention, x, h) : x
  // both sublayers of a parallel layer read what it was given
  const parallelInput = spec.parallel && norms.beforeMlp ? normalise(device, norms.beforeMlp, x, y) : null
  enqueueAttention(device, layer, pool, step, attentionInput)
  addSublayer(device, step.attended, layer.attentionOutput, norms.afterAttention, step)
  const mlpInput = parallelInput ?? (norms.beforeMlp ? normalise(device, norms.beforeMlp, x, h) : x)
  const { activation, gated } = spec.mlp
  if (gated) gatedLinear(device, { x: mlpInput, weight: layer.up, activation, output: step.inner })
  else linear(device, { x: mlpInput, weight: layer.up, activation, output: step.inner })
  addSublayer(device, step.inner, layer.down, norms.afterMlp, step)
}

/** x += norm(weight · input) */
function addSublayer(
  device: Device,
  input: Tensor,
  weight: PlacedLayer['down'],
  norm: PlacedNorm | null,
  { x, y, h }: StepViews,
): void {
  if (!norm) {
    linear(device, { x: input, weight, output: x, accumulate: true })
    return
  }
  linear(device, { x: input, weight, output: y })
  accumulate(device, { x: normalise(device, norm, y, h), output: x })
}

function enqueueAttention(device: Device, layer: PlacedLayer, pool: PagePool, step: StepViews, input: Tensor): void {
  const { attention } = layer.spec
  for (const { weight, column } of layer.qkv) {
    const output = step.qkv.slice(1, column, column + weight.outFeatures)
    linear(device, { x: input, weight, output })
    output.dispose()
  }
  const { qkNorm } = attention
  const norm = (weight: Tensor | null) =>
    qkNorm && weight ? { weight, eps: qkNorm.norm.eps, offset: qkNorm.norm.offset, over: qkNorm.over } : null
  writePages(device, {
    qkv: step.qkv,
    positions: step.positions,
    slots: step.slots,
    recentSlots: step.recentSlots,
    rope: layer.rope,
    queryNorm: norm(layer.queryNorm),
    keyNorm: norm(layer.keyNorm),
    pages: pool,
    query: step.query,
  })
  for (const call of step.attention) attend(device, layer, pool, step, call)
}

function attend(device: Device, { spec }: PlacedLayer, pool: PagePool, step: StepViews, call: AttentionCall): void {
  const { scale, softCap, window } = spec.attention
  const visible = call.works.get(window)
  if (!visible) throw new RangeError(`no work was planned for a window of ${window}`)
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
    output: call.output,
  })
}

function normalise(device: Device, { spec, weight, bias }: PlacedNorm, x: Tensor, output: Tensor): Tensor {
  const { eps, offset } = spec
  if (spec.kind === 'rms') return rmsNorm(device, { x, weight, eps, offset, output })
  return layerNorm(device, { x, weight, ...(bias && { bias }), eps, output })
}
