import type { Device, Tensor } from '../device/device.ts'
import { checkFields, contiguousStrides, type FieldsOf, FoveaError, type TensorSpec } from '../tile/index.ts'
import { type AttentionOptions, attentionOptionFields, checkTensors } from './attention-request.ts'
import { callCache } from './call-cache.ts'
import { runPass } from './pass.ts'
import { prepareCall } from './prepare-call.ts'
import { checkAttentionShape } from './softmax/attention-shape.ts'
import { type BackwardTensors, backwardPasses } from './softmax/backward/backward-passes.ts'
import { prepareBackward } from './softmax/backward/prepare-backward.ts'
import { type FlashTensors, flashPass } from './softmax/flash-pass.ts'

/** What is to be trained: the options of `attention`, and its tensors as specs (a tensor is one). */
export interface TrainableAttentionRequest extends AttentionOptions {
  readonly query: TensorSpec // [B, T, H, D]
  readonly key: TensorSpec // [B, S, Hkv, D]
  readonly value: TensorSpec // [B, S, Hkv, Dv]
  readonly sinks?: TensorSpec // f32 [H]
  /**
   * Captured integer tensors of the mask (document ids) whose contents change between runs: blocks are then skipped only for
   * what the rest of the mask says. Others are read once, here; a run after they were written throws `argument`.
   */
  readonly changing?: readonly Tensor[]
}

/** Attention and its gradients with everything made ahead. */
export interface TrainableAttention {
  /** bytes that it holds, beside the tensors that it is given */
  readonly scratchBytes: number
  /** tensors of floats that `scoreMod` captured: `backward` gives gradients of those that its `dCaptured` names */
  readonly captured: readonly Tensor[]
  /**
   * Enqueues the forward: `output` and `lse` as `attention` gives them. `replaced`: tensors that it reads in place of some of
   * `captured`, of the same dtype and shape, so that layers which attend alike share all that was prepared.
   */
  forward(tensors: FlashTensors, replaced?: ReadonlyMap<Tensor, Tensor>): void
  /**
   * Enqueues the backward: gradients in the dtype of query, `dSinks` f32; what they held is replaced. `replaced` as in the
   * forward; `dCaptured` still names the tensors that were captured.
   */
  backward(tensors: BackwardTensors, replaced?: ReadonlyMap<Tensor, Tensor>): void
  /** Frees what it holds; again is harmless. */
  dispose(): void
}

/**
 * Attention with its backward, prepared for tensors of one size: `forward` and `backward` are sync and allocate nothing, so
 * that they can be part of `device.record`; lengths, packing and the block structure of the mask are decided here. `backward`
 * takes `output` and `lse` of a forward of the same inputs, and computes the scores again. Two runs agree in every bit.
 * Beside its arguments it holds a few numbers per query row (softmax: 2, with sinks 4) and lists of tiles, and, while
 * captured tensors of floats get gradients, what `backward/captured-gradients.ts` says.
 *
 * Rejects with what `attention` rejects with; `forward` and `backward` throw `shape`, `dtype`, `argument`, `disposed`,
 * `device` and what `Device.run` throws.
 */
export async function prepareTrainableAttention(
  device: Device,
  request: TrainableAttentionRequest,
): Promise<TrainableAttention> {
  checkFields('prepareTrainableAttention', 'request', request, fields)
  return prepareTraining('prepareTrainableAttention', device, request, { forward: true })
}

/** The same in the name of `where`; a forward that is not to come is not compiled ahead. */
export async function prepareTraining(
  where: string,
  device: Device,
  request: TrainableAttentionRequest,
  expected: { readonly forward: boolean },
): Promise<TrainableAttention> {
  const call = await prepareCall(where, device, request, callCache(device), {
    algorithm: 'flash',
    lasting: true,
    changing: request.changing ?? [],
  })
  for (const { source } of call.captured) checkTensors(where, device, { 'captured tensor': source as Tensor })
  const held: Tensor[] = []
  try {
    const parts = prepareBackward(where, device, request, call, (tensor) => {
      held.push(tensor)
      return tensor
    })
    await compileAhead(device, parts, request, expected)
    return trainable(device, parts, request.sinks !== undefined, held)
  } catch (error) {
    for (const tensor of held) tensor.dispose()
    throw error
  }
}

/** Compiles the kernels of tensors that lie as those of the request, and results that are packed; others compile when they run. */
async function compileAhead(
  device: Device,
  { forward, backward }: ReturnType<typeof prepareBackward>,
  { query, key, value, sinks }: TrainableAttentionRequest,
  expected: { readonly forward: boolean },
): Promise<void> {
  const { batch, queries, numHeads, valueDim, dtype } = forward.call.shape
  const packed = (shape: readonly number[], of = dtype) => ({
    shape,
    dtype: of,
    strides: contiguousStrides(shape),
    offset: 0,
  })
  const output = packed([batch, queries, numHeads, valueDim])
  const lse = packed([batch, numHeads, queries], 'f32')
  const gradients = { dOutput: output, dQuery: query, dKey: key, dValue: value, ...(sinks && { dSinks: sinks }) }
  // a kernel depends on how tensors lie, not on what they are
  const tensors = {
    query,
    key,
    value,
    output,
    lse,
    ...(sinks && { sinks }),
    ...gradients,
  } as unknown as BackwardTensors
  const passes = [
    ...(expected.forward ? [flashPass(forward, tensors)] : []),
    ...backwardPasses(device, backward, tensors),
  ]
  for (const { view } of passes) view?.dispose?.()
  await Promise.all(passes.map(({ kernel }) => device.prepare(kernel)))
}

function trainable(
  device: Device,
  { forward, backward, captured }: ReturnType<typeof prepareBackward>,
  withSinks: boolean,
  held: readonly Tensor[],
): TrainableAttention {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, dtype } = forward.call.shape
  const expected = { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim, dtype }
  const read = forward.call.read.map((tensor) => ({ tensor, version: tensor.version }))
  let disposed = false

  const check = (where: string, tensors: FlashTensors) => {
    if (disposed) throw new FoveaError('disposed', where, 'this attention was disposed')
    if (read.some(({ tensor, version }) => tensor.version !== version))
      throw new FoveaError('argument', where, 'a tensor that maskMod captured was written since: name it in `changing`')
    const { query, key, value, sinks, output, lse } = tensors
    checkTensors(where, device, { query, key, value, sinks, output, lse })
    if ((sinks !== undefined) !== withSinks)
      throw new FoveaError('argument', where, `it was prepared ${withSinks ? 'with' : 'without'} sinks`)
    const got = checkAttentionShape(where, { query, key, value, sinks: sinks ?? null, output, lse })
    for (const name of Object.keys(expected) as (keyof typeof expected)[])
      if (got[name] !== expected[name])
        throw new FoveaError('shape', where, `it was prepared for ${name} ${expected[name]}, got ${got[name]}`)
  }

  return {
    scratchBytes: held.reduce((sum, { size }) => sum + 4 * size, 0),
    captured: captured?.tensors ?? [],
    forward(tensors, replaced) {
      const where = 'TrainableAttention.forward'
      check(where, tensors)
      checkReplaced(where, device, captured?.tensors ?? [], replaced)
      runPass(device, flashPass(forward, tensors), replaced)
    },
    backward(tensors, replaced) {
      const where = 'TrainableAttention.backward'
      check(where, tensors)
      checkReplaced(where, device, captured?.tensors ?? [], replaced)
      checkGradients(where, device, tensors)
      const { dCaptured } = tensors
      for (const gradient of dCaptured?.values() ?? [])
        checkTensors(where, device, { 'gradient of a captured tensor': gradient })
      if (!captured && dCaptured && dCaptured.size > 0)
        throw new FoveaError('argument', where, 'scoreMod captured no tensor of floats')
      for (const pass of backwardPasses(device, backward, tensors)) runPass(device, pass, replaced)
      if (dCaptured) captured?.enqueue(tensors, dCaptured, replaced)
    },
    dispose() {
      disposed = true
      for (const tensor of held) tensor.dispose()
    },
  }
}

/** What is read in place of a captured tensor is like it. */
function checkReplaced(
  where: string,
  device: Device,
  captured: readonly Tensor[],
  replaced: ReadonlyMap<Tensor, Tensor> = new Map(),
): void {
  for (const [tensor, by] of replaced) {
    if (!captured.includes(tensor))
      throw new FoveaError('argument', where, 'replaced names a tensor of floats that scoreMod does not read')
    checkTensors(where, device, { 'what replaces a captured tensor': by })
    const [wanted, got] = [tensor, by].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`)
    if (wanted !== got)
      throw new FoveaError(
        tensor.dtype === by.dtype ? 'shape' : 'dtype',
        where,
        `what replaces a captured ${wanted} must be like it, got ${got}`,
      )
  }
}

/** Each gradient has the sizes and the dtype of what it is the gradient of. */
function checkGradients(where: string, device: Device, tensors: BackwardTensors): void {
  const { query, key, value, sinks, output, lse, dQuery, dKey, dValue, dSinks, dOutput, dLse } = tensors
  checkTensors(where, device, { dOutput, dLse, dQuery, dKey, dValue, dSinks })
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

const fields: FieldsOf<TrainableAttentionRequest> = {
  query: true,
  key: true,
  value: true,
  sinks: true,
  changing: true,
  ...attentionOptionFields,
}
