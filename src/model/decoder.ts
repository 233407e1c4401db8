import type { PagePool } from '../attention/paged/page-pool.ts'
import { writePages } from '../cache/write-pages.ts'
import type { WriteNorm } from '../cache/write-pages-spec.ts'
import type { Device, Tensor } from '../device/device.ts'
import { embed } from '../nn/embedding.ts'
import { gateHeads } from '../nn/gate-heads.ts'
import { gatherRows } from '../nn/gather-rows.ts'
import { linear } from '../nn/linear.ts'
import { multiply } from '../nn/multiply.ts'
import { normalise, normalised } from './apply-norm.ts'
import { attendPages } from './attend-pages.ts'
import type { AttentionSpec } from './decoder-spec.ts'
import type { DecoderWeights, PlacedLayer } from './decoder-weights.ts'
import { addLaurel, enqueueLaurel } from './enqueue-laurel.ts'
import { addMlp, addSublayer } from './enqueue-mlp.ts'
import { addPerLayer, embedPerLayer } from './enqueue-per-layer.ts'
import { correct, joinStreams, openStreams, predict } from './enqueue-streams.ts'
import { poolOfLayer } from './kept-layers.ts'
import { attendLatent } from './latent-attention.ts'
import { headsKey } from './plan-heads.ts'
import type { HeadViews, StepViews } from './step-views.ts'
import { projectedOf } from './value-width.ts'

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
  const { perLayer, streams } = weights
  if (perLayer && step.perLayer) embedPerLayer(device, perLayer, step.perLayer, step)
  if (streams && step.streams) openStreams(device, streams, step.streams, step)
  const poolOf = poolOfLayer(spec)
  weights.layers.forEach((layer, i) => {
    if (streams && step.streams) predict(device, streams, i, step.streams, step)
    enqueueLayer(device, layer, pools[poolOf[i] ?? i] as PagePool, step)
    if (streams && step.streams) correct(device, streams, i, step.streams, perLayer, step)
    else if (perLayer && step.perLayer) addPerLayer(device, perLayer, i, step.perLayer, step)
    if (layer.outputScale !== null) multiply(device, { factor: layer.outputScale, output: x })
  })
  if (streams && step.streams) joinStreams(device, streams, step.streams, step)
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
  const { x, y } = step
  const { norms, spec } = layer
  // both sublayers of a parallel layer read what it was given
  const parallelInput = spec.parallel && norms.beforeMlp ? normalise(device, norms.beforeMlp, x, y) : null
  const laurel = enqueueLaurel(device, layer, step)
  const attended = enqueueAttention(device, layer, pool, step)
  addSublayer(device, attended, layer.attentionOutput, norms.afterAttention, step, spec.branchScale?.attention)
  if (laurel) addLaurel(device, laurel, step)
  addMlp(device, layer, parallelInput, step)
}

/** What attention gives, before its output matrix. */
function enqueueAttention(device: Device, layer: PlacedLayer, pool: PagePool, step: StepViews): Tensor {
  const { attention } = layer.spec
  const views = step.heads.get(headsKey(attention)) as HeadViews
  const { qkv, gate } = views
  const [{ weight: first }] = layer.qkv as readonly [PlacedLayer['qkv'][number]]
  const input = normalised(device, layer.norms.beforeAttention, first, step.x, step.h)
  for (const { weight, column } of layer.qkv) {
    const output = qkv.slice(1, column, column + weight.outFeatures)
    linear(device, { ...input, weight, output })
    output.dispose()
  }
  const gates = layer.gate && gate.get(layer.gate.outFeatures)
  if (layer.gate && gates) linear(device, { ...input, weight: layer.gate, output: gates })
  const attended = layer.latent
    ? attendLatent(device, layer, layer.latent, pool, views, step)
    : attendHeads(device, layer, pool, views, step)
  if (gates && attention.gate)
    gateHeads(device, { gate: gates, activation: attention.gate.activation, output: attended })
  return attended
}

/** Attention of ordinary heads: what it gives before gates. */
function attendHeads(
  device: Device,
  layer: PlacedLayer,
  pool: PagePool,
  { qkv, query, attended, attention: calls }: HeadViews,
  step: StepViews,
): Tensor {
  const { qkNorm, clip, temperature, valueNormEps } = layer.spec.attention
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
    projected: projectedOf(layer.spec.attention),
    pages: pool,
    query,
  })
  for (const call of calls) attendPages(device, layer, pool, step, call)
  return attended
}

function writeNorm({ norm, over, afterRope }: NonNullable<AttentionSpec['qkNorm']>): WriteNorm {
  const { kind, eps, offset } = norm
  return { kind, eps, offset, over, afterRope: afterRope === true }
}
