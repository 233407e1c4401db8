import type { MaskMod, ScoreMod } from '../../src/attention/hooks.ts'
import { attention } from '../../src/attention/index.ts'
import { type AttentionRow, exactRow, naiveF32, type Rounding, relativeError } from '../../src/cli/exact-row.ts'
import type { Device, Tensor } from '../../src/device/index.ts'
import { roundTo } from '../../src/ir/narrow-float.ts'
import { type RepeatedNormal, repeatedNormal } from './repeated-normal.ts'

export interface CaseShape {
  readonly batch: number
  readonly queries: number
  readonly keys: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly dtype: 'f32' | 'f16'
}

/** A mask and a score function for the kernel, and the same in plain numbers for the check. */
export interface CaseHooks {
  readonly maskMod?: MaskMod
  readonly scoreMod?: ScoreMod
  /** the keys that query q sees */
  readonly visible: (q: number) => readonly [from: number, to: number]
  readonly score?: (score: number, q: number, k: number, head: number) => number
}

export interface CaseInputs {
  readonly shape: CaseShape
  readonly query: Tensor
  readonly key: Tensor
  readonly value: Tensor
  readonly host: readonly [query: RepeatedNormal, key: RepeatedNormal, value: RepeatedNormal]
  dispose(): void
}

/** Inputs of one problem on a device; query [B, T, H, D], key and value [B, S, Hkv, D]. */
export function caseInputs(device: Device, shape: CaseShape): CaseInputs {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, dtype } = shape
  const kvCount = batch * keys * numKvHeads * headDim
  const host = [
    repeatedNormal(batch * queries * numHeads * headDim, dtype, 1),
    repeatedNormal(kvCount, dtype, 2),
    repeatedNormal(kvCount, dtype, 3),
  ] as const
  const kvShape = [batch, keys, numKvHeads, headDim]
  const query = device.tensor(host[0].data, [batch, queries, numHeads, headDim], dtype)
  const key = device.tensor(host[1].data, kvShape, dtype)
  const value = device.tensor(host[2].data, kvShape, dtype)
  const dispose = () => {
    for (const tensor of [query, key, value]) tensor.dispose()
  }
  return { shape, query, key, value, host, dispose }
}

/** Enqueues the problem once and lets go of its results. */
export async function runCase(device: Device, { query, key, value }: CaseInputs, hooks: CaseHooks): Promise<void> {
  const { output, lse } = await callAttention(device, { query, key, value }, hooks)
  output.dispose()
  lse.dispose()
}

/**
 * The relative RMS error of sampled rows against float64. Throws when it is above twice that of a naive implementation in
 * the same dtype on the same rows, with floors 1e-6 (f32) and 1e-3 (f16).
 */
export async function checkCase(device: Device, inputs: CaseInputs, hooks: CaseHooks, rows = 24): Promise<number> {
  const { shape, host } = inputs
  const { batch, queries, numHeads, numKvHeads, headDim, keys, dtype } = shape
  const { output, lse } = await callAttention(device, inputs, hooks)
  const checked: AttentionRow[] = []
  const actual: number[] = []
  for (let i = 0; i < rows; i++) {
    const q = Math.round((i * (queries - 1)) / Math.max(1, rows - 1))
    const [b, head] = [i % batch, (i * 7) % numHeads]
    const kvHead = Math.floor((head * numKvHeads) / numHeads)
    const queryAt = host[0].at(((b * queries + q) * numHeads + head) * headDim)
    const at = (s: number) => ((b * keys + s) * numKvHeads + kvHead) * headDim
    const [from, to] = hooks.visible(q)
    checked.push({
      query: host[0].pattern.subarray(queryAt, queryAt + headDim),
      keys: host[1].pattern,
      keyAt: (s: number) => host[1].at(at(s)),
      values: host[2].pattern,
      valueAt: (s: number) => host[2].at(at(s)),
      valueDim: headDim,
      from,
      to,
      scale: 1 / Math.sqrt(headDim),
      ...(hooks.score && { score: (score: number, s: number) => hooks.score!(score, q, s, head) }),
    })
    const slice = output
      .slice(0, b, b + 1)
      .slice(1, q, q + 1)
      .slice(2, head, head + 1)
    actual.push(...(await slice.read()))
    slice.dispose()
  }
  output.dispose()
  lse.dispose()
  const expected = checked.flatMap((row) => [...exactRow(row)])
  const error = relativeError(actual, expected)
  if (error <= floors[dtype]) return error
  const naive = checked.flatMap((row) => [...exactRow(row, rounding[dtype])])
  const bound = 2 * relativeError(naive, expected)
  // a NaN error must not pass
  if (!(error <= bound))
    throw new Error(`wrong: relative error ${error.toExponential(2)}, at most ${bound.toExponential(2)}`)
  return error
}

const floors = { f32: 1e-6, f16: 1e-3 } as const
// a naive f16 implementation multiplies with f32 sums and writes scores, weights and outputs as f16
const rounding: Readonly<Record<'f32' | 'f16', Rounding>> = {
  f32: naiveF32,
  f16: { operation: Math.fround, stored: (x) => roundTo('f16', x) },
}

async function callAttention(
  device: Device,
  { query, key, value }: Pick<CaseInputs, 'query' | 'key' | 'value'>,
  { maskMod, scoreMod }: CaseHooks,
) {
  return await attention(device, { query, key, value, ...(maskMod && { maskMod }), ...(scoreMod && { scoreMod }) })
}
