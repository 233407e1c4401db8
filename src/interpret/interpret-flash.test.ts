import { describe, expect, it } from 'vitest'
import { softmax } from '../attention/normalizers/softmax.ts'
import { type FlashProgramSpec, flashProgram, itemFields } from '../attention/softmax/flash-program.ts'
import type { Precision } from './evaluate.ts'
import { interpret } from './interpret.ts'
import { bindArray } from './tensor-binding.ts'

const [B, H, T, D] = [1, 4, 130, 64]
const size = B * T * H * D

/** plain attention, one query at a time, in float64: [B, T, H, D] */
function naive(query: Float32Array, key: Float32Array, value: Float32Array, kvHeads: number, causal: boolean) {
  const output = new Float64Array(size)
  const lse = new Float64Array(B * T * H)
  for (let h = 0; h < H; h++) {
    const kv = Math.floor(h / (H / kvHeads))
    for (let q = 0; q < T; q++) {
      const scores = Array.from({ length: causal ? q + 1 : T }, (_, k) => {
        let sum = 0
        for (let d = 0; d < D; d++) sum += at(query, q, h, H, d) * at(key, k, kv, kvHeads, d)
        return sum * scale
      })
      const top = Math.max(...scores)
      const weights = scores.map((s) => Math.exp(s - top))
      const total = weights.reduce((a, b) => a + b)
      lse[h * T + q] = top + Math.log(total)
      for (let d = 0; d < D; d++) {
        let sum = 0
        for (const [k, w] of weights.entries()) sum += w * at(value, k, kv, kvHeads, d)
        output[(q * H + h) * D + d] = sum / total
      }
    }
  }
  return { output, lse }
}

const scale = Math.fround(1 / Math.sqrt(D))
const at = (x: Float32Array, t: number, h: number, heads: number, d: number) => x[(t * heads + h) * D + d] as number

function relativeRms(got: Float64Array, expected: Float64Array): number {
  let [error, norm] = [0, 0]
  for (let i = 0; i < got.length; i++) {
    error += ((got[i] as number) - (expected[i] as number)) ** 2
    norm += (expected[i] as number) ** 2
  }
  return Math.sqrt(error / norm)
}

function randomTensor(length: number, seed: number): Float32Array {
  let state = seed
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 32) * 4 - 2
  })
}

describe('interpret: flash attention against plain attention', () => {
  it.each<[Precision, boolean, number, number]>([
    ['float64', false, 1, 1e-7],
    ['float64', true, 2, 1e-7],
    ['real', true, 4, 1e-6],
  ])('%s causal %s kvHeads %i', (precision, causal, kvHeads, bound) => {
    const [tileQ, tileK] = [16, 32]
    const spec: FlashProgramSpec = {
      dtype: 'f32',
      headDim: D,
      valueDim: D,
      groupSize: H / kvHeads,
      tileQ,
      tileK,
      padTo: 1,
      alignment: 1,
      packed: false,
      sinks: false,
      normalizer: softmax,
      scoreMod: null,
      maskMod: causal ? ({ q, k }) => q.ge(k) : null,
    }
    const tiles = Math.ceil(T / tileQ)
    const fields = { batch: 0, head: 0, qBase: 0, qLength: T, kBase: 0, kLength: T }
    const items: number[] = []
    const runs: number[] = []
    for (let tile = 0; tile < tiles; tile++) {
      const item = { ...fields, qStart: tile * tileQ, runFrom: tile, runTo: tile + 1 }
      items.push(...itemFields.map((name) => item[name]))
      // runs are whole tiles of keys
      const keys = causal ? Math.min(T, (tile + 1) * tileQ) : T
      runs.push(0, Math.ceil(keys / tileK) * tileK, 0)
    }
    const query = randomTensor(size, 1)
    const key = randomTensor(B * T * kvHeads * D, 2)
    const value = randomTensor(B * T * kvHeads * D, 3)
    const output = new Float64Array(size).fill(Number.NaN)
    const lse = new Float64Array(B * T * H).fill(Number.NaN)
    const shape = [B, T, H, D]
    const kvShape = [B, T, kvHeads, D]
    const tensors = {
      query: bindArray(query, { dtype: 'f32', shape }),
      key: bindArray(key, { dtype: 'f32', shape: kvShape }),
      value: bindArray(value, { dtype: 'f32', shape: kvShape }),
      items: bindArray(items, { dtype: 'i32', shape: [tiles, itemFields.length] }),
      runs: bindArray(runs, { dtype: 'i32', shape: [tiles, 3] }),
      output: bindArray(output, { dtype: 'f32', shape }),
      lse: bindArray(lse, { dtype: 'f32', shape: [B, H, T] }),
    }
    const scalars = { scale, scaleLog2: scale * Math.LOG2E }
    interpret(flashProgram(spec), { tensors, scalars }, [tiles, H, 1], precision)
    const expected = naive(query, key, value, kvHeads, causal)
    expect(relativeRms(output, expected.output)).toBeLessThan(bound)
    expect(relativeRms(lse, expected.lse)).toBeLessThan(bound)
  })
})
