import { randomInputs } from '../attention-problem.ts'
import { type AttentionInputs, type AttentionPeer, type AttentionShape, loadPeer, peerName, systems } from './peer.ts'

/**
 * Refuses to time what is wrong: throws when the peer's output differs from attention in float64 by a relative RMS
 * error above twice that of the same loops in f32, or above 1e-6, whichever is larger.
 */
export async function checkPeer(peer: AttentionPeer, shape: AttentionShape, inputs: AttentionInputs): Promise<number> {
  await peer.run()
  const output = await peer.output()
  const exact = naiveAttention(shape, inputs, (x) => x)
  const bound = Math.max(1e-6, 2 * relativeError(naiveAttention(shape, inputs, Math.fround), exact))
  const error = relativeError(output, exact)
  // a NaN error must not pass
  if (!(error <= bound)) throw new Error(`${peer.name}: relative error ${error.toExponential(2)}, at most ${bound}`)
  return error
}

/** Small problems whose faults show: odd lengths, several heads and batches, both masks. */
export const checkShapes: readonly AttentionShape[] = [
  { batch: 2, numHeads: 3, tokens: 65, headDim: 40, causal: true },
  { batch: 1, numHeads: 2, tokens: 130, headDim: 64, causal: false },
]

/** output[t] = Σₛ softmaxₛ(query[t]·key[s] / √headDim) · value[s], every operation rounded by `round`. */
function naiveAttention(
  { batch, numHeads, tokens, headDim, causal }: AttentionShape,
  { query, key, value }: AttentionInputs,
  round: (x: number) => number,
): Float64Array {
  const output = new Float64Array(query.length)
  const scale = round(1 / Math.sqrt(headDim))
  const row = (b: number, t: number, h: number) => ((b * tokens + t) * numHeads + h) * headDim
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < numHeads; h++)
      for (let t = 0; t < tokens; t++) {
        const visible = causal ? t + 1 : tokens
        const scores = Array.from({ length: visible }, (_, s) => {
          let sum = 0
          for (let d = 0; d < headDim; d++) sum = round(sum + round(query[row(b, t, h) + d]! * key[row(b, s, h) + d]!))
          return round(sum * scale)
        })
        const highest = Math.max(...scores)
        const weights = scores.map((score) => round(Math.exp(round(score - highest))))
        const total = weights.reduce((sum, weight) => round(sum + weight), 0)
        for (let d = 0; d < headDim; d++) {
          let sum = 0
          for (let s = 0; s < visible; s++) sum = round(sum + round(weights[s]! * value[row(b, s, h) + d]!))
          output[row(b, t, h) + d] = round(sum / total)
        }
      }
  return output
}

/** Root of the mean squared difference over that of the exact values. */
function relativeError(actual: ArrayLike<number>, exact: Float64Array): number {
  if (actual.length !== exact.length) return Number.NaN
  let difference = 0
  let size = 0
  for (let i = 0; i < exact.length; i++) {
    difference += (actual[i]! - exact[i]!) ** 2
    size += exact[i]! ** 2
  }
  return Math.sqrt(difference / size)
}

// `node bench/peers/check.ts [name...]` checks the systems alone
if (import.meta.filename === process.argv[1]) {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(systems)
  for (const name of names.map(peerName)) {
    for (const shape of checkShapes) {
      const inputs = randomInputs(shape)
      const peer = await (await loadPeer(name))(shape, inputs, 2)
      const error = await checkPeer(peer, shape, inputs)
      console.log(`${peer.name} ${peer.version}: relative error ${error.toExponential(2)}`)
      await peer.dispose()
    }
  }
  // some runtimes keep worker threads that hold the process open
  process.exit(0)
}
