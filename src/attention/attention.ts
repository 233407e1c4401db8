import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, storageBytes } from '../tile/index.ts'
import { type AttentionRequest, attentionOptionFields, checkTensors } from './attention-request.ts'
import { type CallCache, callCache, keepProgram, type PlacedWork } from './call-cache.ts'
import { type Pass, runPass } from './pass.ts'
import { maskInKernel, type PreparedCall, prepareCall } from './prepare-call.ts'
import { commonAlignment } from './softmax/flash.ts'
import { flashPass } from './softmax/flash-pass.ts'
import { itemFields } from './softmax/flash-program.ts'
import { mergeSplits } from './softmax/merge-splits.ts'
import { splitKv } from './softmax/split-kv.ts'
import { splitItemFields } from './softmax/split-kv-program.ts'

/**
 * Exact attention, fused, with user-written hooks:
 *
 *   output_q = Σ_k p_qk value_k     p_q = softmax_k(scoreMod(scale · query_q · key_k)) over the keys that maskMod allows
 *   lse_q = log Σ_k exp(score_qk), natural log
 *
 * `query` [B, T, H, D], `key` [B, S, Hkv, D], `value` [B, S, Hkv, Dv] of one dtype (f32, f16, bf16), any strides with a
 * contiguous last dimension. Returns `output` [B, T, H, Dv] in that dtype and `lse` f32 [B, H, T]; computed in f32. A query
 * with nothing to attend to gives output 0 and lse −∞. Blocks that the mask empties are skipped, full ones do not ask it.
 * No buffer grows with tokens²; a changed length compiles nothing. Few queries over many keys run as split-kv.
 *
 * Values must be finite wherever a query of the call may see them: a weight of 0 times an infinite or NaN value is NaN, so that
 * one behind a mask reaches those rows whose tile meets it for other rows, at most some hundred rows before the first that
 * sees it (as a masked value does in PyTorch). Where that may happen, clean the values beforehand. Infinite or NaN
 * keys behind a mask change nothing here, but gradients. What lies beyond a packed sequence reaches
 * neither its rows nor its gradients. Scores of a
 * `scoreMod` may be any finite float; the backward finds weights again from `lse`, in f32, and is as exact as that.
 *
 * Rejects with `shape`, `dtype`, `unsupported` (head widths above 256), `argument` (cuSeqlens that decrease or overrun, a
 * scale that is no number), `disposed`, `device` (a tensor of another device), `limit` (before anything is allocated), and
 * what `Device.run` throws.
 */
export async function attention(device: Device, request: AttentionRequest): Promise<{ output: Tensor; lse: Tensor }> {
  checkFields('attention', 'request', request, fields)
  const { output, lse } = await callAttention('attention', device, request)
  return { output, lse }
}

/** The call in the name of `where`, and what was decided for it. */
export async function callAttention(
  where: string,
  device: Device,
  request: AttentionRequest,
): Promise<{ call: PreparedCall; output: Tensor; lse: Tensor }> {
  const { query, key, value, sinks, output: givenOutput, lse: givenLse } = request
  checkTensors(where, device, { query, key, value, sinks, output: givenOutput, lse: givenLse })
  const cache = callCache(device)
  const call = await prepareCall(where, device, request, cache)
  for (const { source } of call.captured) checkTensors(where, device, { 'captured tensor': source as Tensor })
  checkLimits(where, device, call, { output: givenOutput === undefined, lse: givenLse === undefined })

  const { batch, queries, numHeads, valueDim, dtype } = call.shape
  const output = givenOutput ?? device.empty([batch, queries, numHeads, valueDim], dtype)
  const lse = givenLse ?? device.empty([batch, numHeads, queries])
  try {
    if (output.size > 0 || lse.size > 0) await runCall(device, request, call, { output, lse }, cache)
  } catch (error) {
    if (!givenOutput) output.dispose()
    if (!givenLse) lse.dispose()
    throw error
  }
  return { call, output, lse }
}

async function runCall(
  device: Device,
  request: AttentionRequest,
  call: PreparedCall,
  results: { readonly output: Tensor; readonly lse: Tensor },
  cache: CallCache,
): Promise<void> {
  const temporary: Tensor[] = []
  const keep = (tensor: Tensor): Tensor => {
    temporary.push(tensor)
    return tensor
  }
  try {
    const passes = makePasses(device, request, call, results, cache, keep)
    await Promise.all(passes.map(({ kernel }) => device.prepare(kernel)))
    for (const pass of passes) runPass(device, pass)
  } finally {
    for (const tensor of temporary) tensor.dispose()
  }
}

/** The kernels of a call, in order; tensors passed to `keep` are freed when they were enqueued. */
function makePasses(
  device: Device,
  request: AttentionRequest,
  call: PreparedCall,
  results: { readonly output: Tensor; readonly lse: Tensor },
  cache: CallCache,
  keep: (tensor: Tensor) => Tensor,
): readonly Pass[] {
  const { query, key, value, sinks } = request
  const { shape, pattern, normalizer, tiling, packed, scale } = call
  const { dtype, headDim, valueDim, groupSize, batch, queries, numHeads } = shape
  const cells =
    pattern && call.asksPattern
      ? keep(
          device.tensor(Int32Array.from(pattern.cells), [pattern.batch * pattern.heads, pattern.rows, pattern.columns]),
        )
      : null
  const maskMod = maskInKernel(call, request.maskMod ?? null, cells)
  const scoreMod = request.scoreMod ?? null
  const work = placeWork(device, call, cache, keep)
  const { items, runs, itemCount, headsPerItem } = work
  const maskKey = `${call.mask?.key} ${cells && cache.numberOf(cells)}`
  if (call.algorithm === 'flash')
    return [flashPass({ call, cache, scoreMod, maskMod, maskKey, work }, { query, key, value, sinks, ...results })]
  const { splits } = call
  const states = keep(device.empty([splits * batch, queries, numHeads, valueDim]))
  const stateSums = keep(device.empty([splits * batch, 2, numHeads, queries]))
  // hooks by what they compute; what else specialises a program, by value
  const { tileQ, tileK, padTo } = tiling
  const sizes = [dtype, headDim, valueDim, groupSize, tileQ, tileK, padTo, packed, commonAlignment([key, value])]
  const hooks = [maskKey, call.score?.key, cache.numberOf(normalizer)]
  const parts = keepProgram(cache, `split-kv ${sizes.join(' ')} ${hooks.join('|')}`, (program) =>
    splitKv({
      ...{ query, key, value, scale, scoreMod, maskMod, normalizer, packed, tiling, itemCount, headsPerItem },
      ...program,
    }),
  )
  const { units } = normalizer
  const merge = keepProgram(cache, `merge ${dtype} ${valueDim} ${sinks !== undefined} ${units}`, (program) =>
    mergeSplits({ dtype, valueDim, sinks: sinks !== undefined, units, splits, batch, queries, numHeads, ...program }),
  )
  return [
    { kernel: parts, tensors: { query, key, value, items, runs, states, stateSums } },
    { kernel: merge, tensors: { states, stateSums, ...results, ...(sinks && { sinks }) } },
  ]
}

/** The work list on the device: that of an earlier call with the same mask and lengths, or a new one. */
function placeWork(
  device: Device,
  call: PreparedCall,
  cache: CallCache,
  keep: (tensor: Tensor) => Tensor,
): PlacedWork & { readonly itemCount: number } {
  let placed = call.workKey === null ? undefined : cache.work.get(call.workKey)
  if (!placed) {
    const { items, runs, itemCount, headsPerItem } = call.work()
    const width = (call.algorithm === 'flash' ? itemFields : splitItemFields).length
    placed = {
      items: device.tensor(items, [itemCount, width]),
      runs: device.tensor(runs, [runs.length / 3, 3]),
      headsPerItem,
    }
    if (call.workKey === null) for (const tensor of [placed.items, placed.runs]) keep(tensor)
    else cache.work.set(call.workKey, placed)
  }
  const { items, runs, headsPerItem } = placed
  // views of its own: the cache may drop the list while the program is being compiled
  const view = (tensor: Tensor) => keep(tensor.slice(0, 0, tensor.shape[0] as number))
  return { items: view(items), runs: view(runs), headsPerItem, itemCount: items.shape[0] as number }
}

/** Throws `limit` for a tensor that the device cannot hold, before any is allocated. */
function checkLimits(
  where: string,
  device: Device,
  { shape, splits, algorithm }: PreparedCall,
  needs: { readonly output: boolean; readonly lse: boolean },
): void {
  const { batch, queries, numHeads, valueDim, dtype } = shape
  const { maxBufferSize, maxStorageBufferBindingSize, maxBytes } = device.info.limits
  const known = [maxBufferSize, maxStorageBufferBindingSize, maxBytes].filter((bytes) => bytes !== undefined)
  const most = Math.min(...known, Number.POSITIVE_INFINITY)
  const rows = batch * queries * numHeads
  const states = algorithm === 'split-kv' ? splits * rows : 0
  for (const [name, bytes] of [
    ['output', needs.output ? rows * valueDim * storageBytes[dtype] : 0],
    ['lse', needs.lse ? rows * 4 : 0],
    ['states', states * valueDim * 4],
  ] as const)
    if (bytes > most)
      throw new FoveaError(
        'limit',
        where,
        `${name} [${batch}, ${queries}, ${numHeads}, ${valueDim}] takes ${bytes} bytes, the ${device.kind} device allows ${most}`,
      )
}

const fields: FieldsOf<AttentionRequest> = {
  query: true,
  key: true,
  value: true,
  sinks: true,
  output: true,
  lse: true,
  ...attentionOptionFields,
}
