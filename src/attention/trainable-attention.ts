import type { Device, Tensor } from '../device/device.ts'
import { FoveaError, type TensorSpec } from '../tile/index.ts'
import { runInSlices } from './attention.ts'
import { type AttentionOptions, checkTensors } from './attention-request.ts'
import { prepareCapturedGradients } from './backward/captured-gradients.ts'
import { traceScoreGradient } from './backward/score-gradient.ts'
import { traceNormalizer } from './backward/weight-gradient.ts'
import { type CallCache, callCache, keepProgram } from './call-cache.ts'
import { dropoutKey } from './dropout.ts'
import { maskInKernel, type PreparedCall, patternFits, prepareCall } from './prepare-call.ts'
import { checkAttentionShape } from './softmax/attention-shape.ts'
import {
  type BackwardParts,
  type BackwardTensors,
  backwardPasses,
  type SidePart,
} from './softmax/backward/backward-passes.ts'
import { transposedWork } from './softmax/backward/transposed-work.ts'
import { queryWork, type WorkTable, workWidth } from './softmax/backward/work-table.ts'
import { commonAlignment, flash } from './softmax/flash.ts'
import { itemFields } from './softmax/flash-program.ts'
import { flashWork, type WorkList } from './softmax/work-list.ts'

/** What is to be trained: the options of `attention`, and its tensors as specs (a tensor is one). */
export interface TrainableAttentionRequest extends AttentionOptions {
  readonly query: TensorSpec // [B, T, H, D]
  readonly key: TensorSpec // [B, S, Hkv, D]
  readonly value: TensorSpec // [B, S, Hkv, Dv]
  readonly sinks?: TensorSpec // f32 [H]
  /**
   * Captured integer tensors of the mask (document ids) whose contents change between runs: blocks are then skipped only for
   * what the rest of the mask says. Without it they are read once, here, and must keep their contents.
   */
  readonly changing?: readonly Tensor[]
}

/** Tensors of a forward: any strides with a contiguous last dimension, sizes and dtypes as they were prepared. */
export interface ForwardTensors {
  readonly query: Tensor
  readonly key: Tensor
  readonly value: Tensor
  readonly sinks?: Tensor
  /** what is written: query's dtype [B, T, H, Dv], and f32 [B, H, T] */
  readonly output: Tensor
  readonly lse: Tensor
}

/** Attention and its gradients with everything made ahead. */
export interface TrainableAttention {
  /** bytes that it holds, beside the tensors that it is given */
  readonly scratchBytes: number
  /** tensors of floats that `scoreMod` captured: `backward` gives gradients of those that its `dCaptured` names */
  readonly captured: readonly Tensor[]
  /** Enqueues the forward: `output` and `lse` as `attention` gives them. */
  forward(tensors: ForwardTensors): void
  /** Enqueues the backward: gradients in the dtype of query, `dSinks` f32; what they held is replaced. */
  backward(tensors: BackwardTensors): void
  /** Frees what it holds; again is harmless. */
  dispose(): void
}

/**
 * Attention with its backward, prepared for tensors of one size: `forward` and `backward` are sync and allocate nothing, so
 * that they can be part of `device.record`. One of them runs at a time on a device (its scratch is shared by its runs).
 * Two runs agree in every bit. Beside its arguments a backward takes 2 numbers per query row (3 with sinks) and its lists
 * of tiles.
 *
 * Rejects with what `attention` rejects with; `forward` and `backward` throw `shape`, `dtype`, `argument`, `disposed`,
 * `device` and what `Device.run` throws.
 */
export async function prepareTrainableAttention(
  device: Device,
  request: TrainableAttentionRequest,
): Promise<TrainableAttention> {
  const where = 'prepareTrainableAttention'
  const cache = callCache(device)
  const call = await prepareCall(where, device, request, cache, {
    algorithm: 'flash',
    changing: request.changing ?? [],
  })
  for (const { source } of call.captured) checkTensors(where, device, { 'captured tensor': source as Tensor })
  const held: Tensor[] = []
  const keep = (tensor: Tensor): Tensor => {
    held.push(tensor)
    return tensor
  }
  try {
    return made(device, request, call, cache, keep, held)
  } catch (error) {
    for (const tensor of held) tensor.dispose()
    throw error
  }
}

function made(
  device: Device,
  request: TrainableAttentionRequest,
  call: PreparedCall,
  cache: CallCache,
  keep: (tensor: Tensor) => Tensor,
  held: readonly Tensor[],
): TrainableAttention {
  const where = 'prepareTrainableAttention'
  const { shape, pattern } = call
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, groupSize, dtype } = shape
  const maskMod = request.maskMod ?? null
  const scoreMod = request.scoreMod ?? null
  const tilingOf = (algorithm: 'query-gradient' | 'key-gradient') =>
    request.tiling ?? device.tiling(algorithm, { dtype, headDim, valueDim })
  const [queryTiling, keyTiling] = [tilingOf('query-gradient'), tilingOf('key-gradient')]
  let cells: Tensor | null = null
  const maskFor = (asks: boolean) => {
    if (!pattern || !asks) return { maskMod, maskKey: `${call.mask?.key}` }
    const { rows, columns } = pattern
    cells ??= keep(device.tensor(Int32Array.from(pattern.cells), [pattern.batch * pattern.heads, rows, columns]))
    return { maskMod: maskInKernel(call, maskMod, cells), maskKey: `${call.mask?.key} ${cache.numberOf(cells)}` }
  }
  const workSpec = call.workSpec()
  const place = ({ table, itemCount, headsPerItem }: WorkTable) => ({
    work: keep(device.tensor(table, [table.length / workWidth, workWidth])),
    itemCount,
    headsPerItem,
  })
  const asksOf = (tiling: { tileQ: number; tileK: number; padTo: number }, hangsOver: boolean) =>
    !patternFits(pattern, tiling, { hangsOver: maskMod !== null && hangsOver })

  const forwardMask = maskFor(call.asksPattern)
  const list = call.work() as WorkList
  const items = keep(device.tensor(list.items, [list.itemCount, itemFields.length]))
  const runs = keep(device.tensor(list.runs, [list.runs.length / 3, 3]))
  const query: SidePart = {
    tiling: queryTiling,
    ...maskFor(asksOf(queryTiling, keys % queryTiling.tileK !== 0)),
    ...place(queryWork(flashWork({ ...workSpec, ...queryTiling }))),
  }
  const key: SidePart = {
    tiling: keyTiling,
    ...maskFor(asksOf(keyTiling, keys % keyTiling.tileK !== 0 || queries % keyTiling.tileQ !== 0)),
    ...place(transposedWork({ ...workSpec, ...keyTiling, groupSize })),
  }
  const withSinks = request.sinks !== undefined
  const trace = (dLse: boolean) => traceNormalizer(where, call.normalizer, { sink: withSinks, dLse })
  const [plain, withLse] = [trace(false), trace(true)]
  const termCount = Math.max(plain.termCount, withLse.termCount) + (withSinks ? 1 : 0)
  const rows = keep(device.empty([Math.max(termCount, 1), batch, numHeads, queries]))
  const { stored } = plain
  const states = stored.length > 0 ? keep(device.empty([stored.length, batch, numHeads, queries])) : null
  const parts: BackwardParts = {
    ...{ call, cache, scoreMod, query, key, rows, states, withSinks },
    scoreGradient: scoreMod && traceScoreGradient(where, scoreMod),
    gradientOf: (dLse) => (dLse ? withLse : plain),
  }
  const captured = prepareCapturedGradients(device, parts, workSpec, keep)
  const scratchBytes = held.reduce((sum, { size }) => sum + 4 * size, 0)
  const expected = { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, dtype }
  let disposed = false

  const check = (where: string, tensors: ForwardTensors & Partial<BackwardTensors>) => {
    if (disposed) throw new FoveaError('disposed', where, 'this attention was disposed')
    if ((tensors.sinks !== undefined) !== withSinks)
      throw new FoveaError('argument', where, `it was prepared ${withSinks ? 'with' : 'without'} sinks`)
    const { query, key, value, sinks = null, output, lse, dOutput, dLse, dQuery, dKey, dValue, dSinks } = tensors
    checkTensors(where, device, { query, key, value, output, lse, dOutput, dLse, dQuery, dKey, dValue, dSinks })
    const got = checkAttentionShape(where, { query, key, value, sinks, output, lse })
    for (const [name, size] of Object.entries(expected))
      if (got[name as keyof typeof expected] !== size)
        throw new FoveaError(
          'shape',
          where,
          `was prepared for ${name} ${size}, got ${got[name as keyof typeof expected]}`,
        )
  }

  return {
    scratchBytes,
    captured: captured?.tensors ?? [],
    forward(tensors) {
      check('TrainableAttention.forward', tensors)
      const { query, key, value, sinks, output, lse } = tensors
      const { tiling, normalizer, packed, scale, dropout } = call
      const { itemCount, headsPerItem } = list
      const alignment = commonAlignment([query, key, value, output])
      const sizes = [dtype, headDim, valueDim, groupSize, tiling.tileQ, tiling.tileK, tiling.padTo, packed].join(' ')
      const names = [forwardMask.maskKey, call.score?.key, dropoutKey(dropout, cache.numberOf)]
      const hooks = [...names, cache.numberOf(normalizer)].join('|')
      const kernel = keepProgram(cache, `flash forward ${sizes} ${alignment} ${withSinks} ${hooks}`, (program) =>
        flash({
          ...{
            query,
            key,
            value,
            sinks: sinks ?? null,
            output,
            lse,
            scale,
            scoreMod,
            normalizer,
            packed,
            tiling,
            dropout,
          },
          ...{ maskMod: forwardMask.maskMod, itemCount, headsPerItem, ...program },
        }),
      )
      runInSlices(device, { kernel, tensors: { query, key, value, items, runs, output, lse, ...(sinks && { sinks }) } })
    },
    backward(tensors) {
      const where = 'TrainableAttention.backward'
      check(where, tensors)
      checkGradients(where, tensors)
      for (const pass of backwardPasses(device, parts, tensors)) {
        runInSlices(device, pass)
        pass.view?.dispose()
      }
      const { dCaptured } = tensors
      if (!dCaptured) return
      for (const gradient of dCaptured.values())
        checkTensors(where, device, { 'gradient of a captured tensor': gradient })
      if (captured) captured.enqueue(tensors, dCaptured)
      else if (dCaptured.size > 0) throw new FoveaError('argument', where, 'scoreMod captured no tensor of floats')
    },
    dispose() {
      disposed = true
      for (const tensor of held) tensor.dispose()
    },
  }
}

/** Each gradient has the sizes and the dtype of what it is the gradient of. */
function checkGradients(where: string, tensors: BackwardTensors): void {
  const { query, key, value, sinks, output, lse, dQuery, dKey, dValue, dSinks, dOutput, dLse } = tensors
  for (const [name, gradient, of] of [
    ['dOutput', dOutput, output],
    ['dLse', dLse, lse],
    ['dQuery', dQuery, query],
    ['dKey', dKey, key],
    ['dValue', dValue, value],
    ['dSinks', dSinks, sinks],
  ] as const) {
    if (!gradient) continue
    if (!of) throw new FoveaError('argument', where, `${name} needs sinks`)
    if (gradient.dtype !== of.dtype)
      throw new FoveaError('dtype', where, `${name} must be ${of.dtype}, got ${gradient.dtype}`)
    if (gradient.shape.join() !== of.shape.join())
      throw new FoveaError(
        'shape',
        where,
        `${name} must be [${of.shape.join(', ')}], got [${gradient.shape.join(', ')}]`,
      )
  }
}
