import { uniformNumbers } from '../src/llm/uniform-numbers.ts'
import type { AttentionInputs, AttentionShape } from './peers/peer.ts'

/** Inputs drawn from a normal distribution; the same seed gives the same numbers on every machine. */
export function randomInputs({ batch, tokens, numHeads, headDim }: AttentionShape, seed = 1): AttentionInputs {
  const count = batch * tokens * numHeads * headDim
  const next = uniformNumbers(seed)
  const draw = () => {
    const values = new Float32Array(count)
    for (let i = 0; i < count; i++) values[i] = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
    return values
  }
  return { query: draw(), key: draw(), value: draw() }
}

/** The work that the mask leaves: two products of `2·B·H·T·T·D` each, half of it when causal. */
export function floatingOperations({ batch, numHeads, tokens, headDim, causal }: AttentionShape): number {
  return (4 * batch * numHeads * tokens * tokens * headDim) / (causal ? 2 : 1)
}

/** The name that results and tables use: `f32 B1 H8 T4096 D64 causal`. */
export function problemName({ batch, numHeads, tokens, headDim, causal }: AttentionShape): string {
  return `f32 B${batch} H${numHeads} T${tokens} D${headDim} ${causal ? 'causal' : 'full'}`
}
