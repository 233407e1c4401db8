import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, storageBytes, type TensorSpec } from '../tile/index.ts'
import { callAttention } from './attention.ts'
import { type AttentionPlanRequest, attentionOptionFields, checkRequest } from './attention-request.ts'
import type { PreparedCall } from './prepare-call.ts'

/** What a call will do, known before it runs. Bytes, except where it says otherwise. */
export interface AttentionPlan {
  readonly algorithm: 'flash' | 'split-kv'
  readonly tileQ: number
  readonly tileK: number
  /** programs, in all heads */
  readonly programs: number
  /** split-kv: states per query */
  readonly splits: number
  /** share of the key tiles that are streamed */
  readonly density: number
  /** 2 · (headDim + valueDim) operations for each pair of query and key in a streamed tile */
  readonly flops: number
  /** inputs, counted once */
  readonly reads: number
  /** keys and values that tiles load, counted each time: what a cache may serve */
  readonly streams: number
  /** output and lse */
  readonly writes: number
  /** by name: what the call allocates; `output` and `lse` stay, the rest is freed or kept for the next call */
  readonly allocates: Readonly<Record<string, number>>
}

/**
 * Bytes that `attention` will read, write and allocate for tensors of these shapes, which need not exist. Captured tensors
 * of a mask are read. Rejects with what `attention` rejects with, limits of the device included: tensors that it cannot hold,
 * kernels that bind too much or do not fit. That memory is in use by others is found out by the call.
 */
export async function plan(device: Device, request: AttentionPlanRequest): Promise<AttentionPlan> {
  checkFields('plan', 'request', request, fields)
  const call = await rehearse(device, request)
  const { shape, algorithm, splits, tiling } = call
  const { query, key, value, sinks, output, lse } = request
  const work = call.work()
  const rows = shape.batch * shape.queries * shape.numHeads
  const width = storageBytes[shape.dtype]
  const outputBytes = rows * shape.valueDim * width
  const lseBytes = rows * 4
  const list = { items: work.items.byteLength, runs: work.runs.byteLength }
  const states =
    algorithm === 'split-kv' ? { states: splits * rows * shape.valueDim * 4, stateSums: 2 * splits * lseBytes } : {}
  const captured = call.captured.map(({ source }) => source as TensorSpec | undefined)
  const pairs = work.tiles * tiling.tileQ * tiling.tileK
  return {
    algorithm,
    tileQ: tiling.tileQ,
    tileK: tiling.tileK,
    programs: work.itemCount * work.headsPerItem,
    splits,
    density: work.density,
    flops: 2 * pairs * (shape.headDim + shape.valueDim),
    reads: [query, key, value, sinks, ...captured].reduce((sum, spec) => sum + (spec ? bytesOf(spec) : 0), 0),
    streams: work.tiles * tiling.tileK * (shape.headDim + shape.valueDim) * width,
    writes: outputBytes + lseBytes,
    allocates: {
      ...(output ? {} : { output: outputBytes }),
      ...(lse ? {} : { lse: lseBytes }),
      ...list,
      ...states,
    },
  }
}

/** Goes through the call on a device that holds nothing, with tensors that lie as those of the request. */
async function rehearse(device: Device, request: AttentionPlanRequest): Promise<PreparedCall> {
  if (device.disposed) throw new FoveaError('disposed', 'plan', `the ${device.kind} device was disposed`)
  checkRequest('plan', request)
  const rehearsal = device.rehearsal()
  const tensorLike = (spec: TensorSpec): Tensor => {
    if ((spec as Partial<Tensor>).device === device) return spec as Tensor
    const { shape, strides, offset, dtype } = spec
    const last = shape.reduce((at, size, dim) => at + (size - 1) * (strides[dim] as number), offset)
    const whole = rehearsal.empty([shape.includes(0) ? offset : last + 1], dtype)
    const view = whole.view({ shape, strides, offset })
    whole.dispose()
    return view
  }
  try {
    const { query, key, value, sinks, output, lse, ...options } = request
    const { call } = await callAttention('plan', rehearsal, {
      ...options,
      query: tensorLike(query),
      key: tensorLike(key),
      value: tensorLike(value),
      ...(sinks && { sinks: tensorLike(sinks) }),
      ...(output && { output: tensorLike(output) }),
      ...(lse && { lse: tensorLike(lse) }),
    })
    return call
  } finally {
    rehearsal.dispose()
  }
}

function bytesOf(spec: TensorSpec): number {
  return spec.shape.reduce((product, size) => product * size, storageBytes[spec.dtype])
}

const fields: FieldsOf<AttentionPlanRequest> = {
  query: true,
  key: true,
  value: true,
  sinks: true,
  output: true,
  lse: true,
  ...attentionOptionFields,
}
