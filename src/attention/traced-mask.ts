import { expressionKey, FoveaError, type Node, symbol, type TensorParam, Value } from '../tile/index.ts'
import type { MaskMod, ScoreMod } from './hooks.ts'

/** The variables of a hook's expression, in the order in which intervals are given for them. */
export const positionNames = ['q', 'k', 'head', 'batch', 'qLength', 'kLength'] as const

/** A hook called once with symbols: the expression that it computes, to be read instead of run. */
export interface TracedHook {
  readonly root: Node
  readonly variables: readonly Node[]
  /** equal for hooks that compute the same from the same captured tensors, whichever function objects they are */
  readonly key: string
  /** tensors that the expression reads, in order of first use */
  readonly captured: readonly TensorParam[]
}

/** Throws `dtype`, in the name of `where`, when the hook does not return a boolean value. */
export function traceMask(where: string, maskMod: MaskMod, numberOf: (source: object) => number): TracedHook {
  const position = positionSymbols()
  const result: unknown = maskMod(position)
  if (!(result instanceof Value) || result.dtype !== 'bool')
    throw new FoveaError('dtype', where, `maskMod must return a boolean value, got ${describeResult(result)}`)
  return traced(result, position, numberOf)
}

/** Throws `dtype`, in the name of `where`, when the hook does not return a number. */
export function traceScore(where: string, scoreMod: ScoreMod, numberOf: (source: object) => number): TracedHook {
  const position = positionSymbols()
  const result: unknown = scoreMod({ ...position, score: symbol('score', 'f32') })
  if (!(result instanceof Value) || result.dtype === 'bool')
    throw new FoveaError('dtype', where, `scoreMod must return a number value, got ${describeResult(result)}`)
  return traced(result, position, numberOf)
}

function positionSymbols(): Record<(typeof positionNames)[number], Value> {
  return {
    q: symbol('q'),
    k: symbol('k'),
    head: symbol('head'),
    batch: symbol('batch'),
    qLength: symbol('qLength'),
    kLength: symbol('kLength'),
  }
}

function traced(
  result: Value,
  position: Readonly<Record<(typeof positionNames)[number], Value>>,
  numberOf: (source: object) => number,
): TracedHook {
  const captured = new Set<TensorParam>()
  const key = expressionKey(result.node, numberOf, (tensor) => captured.add(tensor))
  return {
    root: result.node,
    variables: positionNames.map((name) => position[name].node),
    key,
    captured: [...captured],
  }
}

function describeResult(result: unknown): string {
  if (result instanceof Value) return `${result.dtype} [${result.rows}, ${result.cols}]`
  return `${result === null ? 'null' : typeof result} (use the methods of values: q.ge(k), score.mul(2))`
}
