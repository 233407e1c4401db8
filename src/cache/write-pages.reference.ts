/** A step's tokens, as `writePages` takes them. */
export interface WriteInput {
  readonly N: number
  readonly H: number
  readonly G: number
  readonly D: number
  readonly Dv: number
  readonly qkv: Float64Array // [N, (H + G)·D + G·Dv], fewer where not all are projected
  readonly positions: readonly number[]
  readonly rope: {
    readonly inverseFrequencies: readonly number[]
    readonly attentionFactor: number
    readonly interleaved: boolean
  } | null
  readonly queryNorm: ReferenceNorm | null
  readonly keyNorm: ReferenceNorm | null
  /** values are the keys before norm and rope, divided by √(mean x² + eps) */
  readonly keysAsValues?: { readonly eps: number } | null
}

export interface ReferenceNorm {
  readonly weight: Float64Array // [D], or of all heads
  readonly eps: number
  readonly offset: number
  readonly over: 'head' | 'all'
}

/** Queries [N, H, D], keys [N, G, D] and values [N, G, Dv] as they are to be stored, in float64, one element at a time. */
export function writePagesReference(input: WriteInput): {
  query: Float64Array
  key: Float64Array
  value: Float64Array
} {
  const { N, H, G, D, Dv, qkv } = input
  const { keysAsValues } = input
  const width = qkv.length / N
  const side = (first: number, size: number) => {
    const out = new Float64Array(N * size)
    for (let n = 0; n < N; n++) for (let i = 0; i < size; i++) out[n * size + i] = qkv[n * width + first + i] as number
    return out
  }
  const [query, key, value] = [side(0, H * D), side(H * D, G * D), side((keysAsValues ? H : H + G) * D, G * Dv)]
  if (keysAsValues)
    normalise(value, Dv, { weight: new Float64Array(Dv).fill(1), offset: 0, over: 'head', ...keysAsValues })
  for (const [x, heads, norm] of [
    [query, H, input.queryNorm],
    [key, G, input.keyNorm],
  ] as const) {
    if (norm) normalise(x, norm.over === 'all' ? heads * D : D, norm)
    if (input.rope) turn(x, heads, input, input.rope)
  }
  return { query, key, value }
}

function normalise(x: Float64Array, size: number, { weight, eps, offset }: ReferenceNorm): void {
  for (let row = 0; row < x.length; row += size) {
    let squares = 0
    for (let i = 0; i < size; i++) squares += (x[row + i] as number) ** 2
    for (let i = 0; i < size; i++)
      x[row + i] = ((x[row + i] as number) / Math.sqrt(squares / size + eps)) * (offset + (weight[i] as number))
  }
}

function turn(x: Float64Array, heads: number, { N, D, positions }: WriteInput, rope: NonNullable<WriteInput['rope']>) {
  const pairs = rope.inverseFrequencies.length
  for (let n = 0; n < N; n++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < pairs; i++) {
        const base = (n * heads + h) * D
        const [a, b] = rope.interleaved ? [base + 2 * i, base + 2 * i + 1] : [base + i, base + pairs + i]
        const angle = (positions[n] as number) * (rope.inverseFrequencies[i] as number)
        const [cos, sin] = [Math.cos(angle) * rope.attentionFactor, Math.sin(angle) * rope.attentionFactor]
        const [first, second] = [x[a] as number, x[b] as number]
        x[a] = first * cos - second * sin
        x[b] = second * cos + first * sin
      }
}
