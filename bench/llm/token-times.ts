import type { Engine } from '../../src/llm/engine.ts'
import type { GenerateRequest } from '../../src/llm/generation.ts'

/** When the tokens of a generation came. */
export interface TokenTimes {
  readonly tokens: readonly number[]
  /** from the request to the first token */
  readonly firstMs: number
  /** from the first token to the last, by token; NaN for one token alone */
  readonly msPerToken: number
  /** when each came, on the clock of `performance.now` */
  readonly at: readonly number[]
}

/** Generates greedily, whatever ends a text, and looks at the clock at every token. */
export async function timeTokens(
  engine: Engine,
  request: Pick<GenerateRequest, 'prompt' | 'maxTokens'>,
): Promise<TokenTimes> {
  const start = performance.now()
  const tokens: number[] = []
  const at: number[] = []
  for await (const { token } of engine.generate({ ...request, ignoreEos: true, sampling: { temperature: 0 } })) {
    tokens.push(token)
    at.push(performance.now())
  }
  const [first = Number.NaN, last = Number.NaN] = [at[0], at.at(-1)]
  return { tokens, at, firstMs: first - start, msPerToken: (last - first) / (at.length - 1) }
}
