import { relativeError } from '../../src/cli/exact-row.ts'
import type { Tensor } from '../../src/device/index.ts'
import { fromHalfBits } from '../../src/ir/narrow-float.ts'
import type { CaseShape } from './attention-case.ts'
import type { RepeatedNormal } from './repeated-normal.ts'

/** One causal problem on a device and on the host; tensors [B, T, H, D], lse [B, H, T]. */
export interface GradientProblem {
  readonly shape: CaseShape
  readonly host: Readonly<Record<'query' | 'key' | 'value' | 'dOutput', RepeatedNormal>>
  readonly tensors: Readonly<Record<'output' | 'lse' | 'dQuery' | 'dKey' | 'dValue', Tensor>>
}

/** what half precision leaves of five digits, weights and score gradients being rounded too */
const bound = 1e-3

/**
 * The largest relative RMS error of sampled rows of the gradients of causal attention. Rows of dQuery are computed from the
 * inputs alone, in float64; rows of dKey and dValue, which meet every query, from the lse and output of the device, whose
 * sampled rows are held to float64 as well. Throws when an error is above 1e-3.
 */
export async function checkGradients({ shape, host, tensors }: GradientProblem, samples = 8): Promise<number> {
  const { batch, queries: T, numHeads: H, headDim: D } = shape
  const scale = 1 / Math.sqrt(D)
  const read = async (tensor: Tensor) => {
    const data = await tensor.read()
    return data instanceof Uint16Array
      ? (i: number) => fromHalfBits(data[i] as number)
      : (i: number) => data[i] as number
  }
  const names = ['output', 'lse', 'dQuery', 'dKey', 'dValue'] as const
  const got = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await read(tensors[name])] as const)),
  ) as Record<(typeof names)[number], (i: number) => number>
  const dotOf = (a: RepeatedNormal, aAt: number, b: RepeatedNormal, bAt: number) => {
    const [from, other] = [a.at(aAt), b.at(bAt)]
    let sum = 0
    for (let d = 0; d < D; d++) sum += (a.pattern[from + d] as number) * (b.pattern[other + d] as number)
    return sum
  }
  const pairs = new Map<string, [actual: number[], expected: number[]]>()
  const compare = (name: (typeof names)[number], at: number, row: ArrayLike<number>) => {
    const [actual, expected] = pairs.get(name) ?? [[], []]
    for (let d = 0; d < row.length; d++) {
      actual.push(got[name](at + d))
      expected.push(row[d] as number)
    }
    pairs.set(name, [actual, expected])
  }
  const add = (row: Float64Array, factor: number, from: RepeatedNormal, at: number) => {
    const start = from.at(at)
    for (let d = 0; d < D; d++) row[d]! += factor * (from.pattern[start + d] as number)
  }
  for (let sample = 0; sample < samples; sample++) {
    const [b, h] = [sample % batch, (sample * 7) % H]
    const token = Math.round((sample * (T - 1)) / (samples - 1))
    const at = (t: number) => ((b * T + t) * H + h) * D
    const own = at(token)

    const s = Float64Array.from({ length: token + 1 }, (_, k) => scale * dotOf(host.query, own, host.key, at(k)))
    const highest = s.reduce((a, x) => Math.max(a, x))
    const lse = highest + Math.log(s.reduce((sum, x) => sum + Math.exp(x - highest), 0))
    const [output, dQuery, dKey, dValue] = [0, 0, 0, 0].map(() => new Float64Array(D)) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ]
    const dP = s.map((_, k) => dotOf(host.dOutput, own, host.value, at(k)))
    const delta = s.reduce((sum, x, k) => sum + Math.exp(x - lse) * (dP[k] as number), 0)
    s.forEach((x, k) => {
      const p = Math.exp(x - lse)
      add(output, p, host.value, at(k))
      add(dQuery, scale * p * ((dP[k] as number) - delta), host.key, at(k))
    })
    compare('lse', (b * H + h) * T + token, [lse])
    compare('output', own, output)
    compare('dQuery', own, dQuery)

    for (let q = token; q < T; q++) {
      const p = Math.exp(scale * dotOf(host.query, at(q), host.key, own) - got.lse((b * H + h) * T + q))
      const from = host.dOutput.at(at(q))
      let deltaOf = 0
      for (let d = 0; d < D; d++) deltaOf += (host.dOutput.pattern[from + d] as number) * got.output(at(q) + d)
      add(dValue, p, host.dOutput, at(q))
      add(dKey, scale * p * (dotOf(host.dOutput, at(q), host.value, own) - deltaOf), host.query, at(q))
    }
    compare('dKey', own, dKey)
    compare('dValue', own, dValue)
  }
  let largest = 0
  for (const [name, [actual, expected]] of pairs) {
    const error = relativeError(actual, expected)
    // a NaN error must not pass
    if (!(error <= bound))
      throw new Error(`${name} is wrong: relative error ${error.toExponential(2)}, at most ${bound}`)
    largest = Math.max(largest, error)
  }
  return largest
}
