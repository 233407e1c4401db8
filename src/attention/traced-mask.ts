import { expressionKey, FoveaError, type Node, operands, symbol, type TensorParam, Value } from '../tile/index.ts'
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

/** Throws `dtype` when the hook does not return a boolean value, `unsupported` and `shape` when it is not element-wise. */
export function traceMask(where: string, maskMod: MaskMod, numberOf: (source: object) => number): TracedHook {
  if (typeof maskMod !== 'function')
    throw new FoveaError('argument', where, `maskMod must be a function, got ${typeof maskMod}`)
  const position = positionSymbols()
  const result: unknown = maskMod(position)
  if (!(result instanceof Value) || result.dtype !== 'bool')
    throw new FoveaError('dtype', where, `maskMod must return a boolean value, got ${describeResult(result)}`)
  return traced(where, 'maskMod', result, position, numberOf)
}

/** Throws `dtype` when the hook does not return a number, `unsupported` and `shape` when it is not element-wise. */
export function traceScore(where: string, scoreMod: ScoreMod, numberOf: (source: object) => number): TracedHook {
  if (typeof scoreMod !== 'function')
    throw new FoveaError('argument', where, `scoreMod must be a function, got ${typeof scoreMod}`)
  const position = positionSymbols()
  const result: unknown = scoreMod({ ...position, score: symbol('score', 'f32') })
  if (!(result instanceof Value) || result.dtype === 'bool')
    throw new FoveaError('dtype', where, `scoreMod must return a number value, got ${describeResult(result)}`)
  return traced(where, 'scoreMod', result, position, numberOf)
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
  where: string,
  hook: string,
  result: Value,
  position: Readonly<Record<(typeof positionNames)[number], Value>>,
  numberOf: (source: object) => number,
): TracedHook {
  checkElementwise(where, hook, result.node)
  const captured = new Set<TensorParam>()
  const key = expressionKey(result.node, numberOf, (tensor) => captured.add(tensor))
  return {
    root: result.node,
    variables: positionNames.map((name) => position[name].node),
    key,
    captured: [...captured],
  }
}

/**
 * What mixes queries or keys would mix those of one tile, and depend on the tile's size. Every position is one element here,
 * so only what gathers along an axis of its own has more than one to gather.
 */
function checkElementwise(where: string, hook: string, root: Node): void {
  const seen = new Set<Node>()
  const visit = (node: Node): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (mixesPositions(node))
      throw new FoveaError(
        'unsupported',
        where,
        `${hook} must be a function of one query and one key, got a ${node.op} over positions`,
      )
    operands(node).forEach(visit)
  }
  visit(root)
  if (root.rows !== 1 || root.cols !== 1)
    throw new FoveaError('shape', where, `${hook} must return one value per position, got [${root.rows}, ${root.cols}]`)
}

function mixesPositions(node: Node): boolean {
  if (node.op === 'reduce' || node.op === 'scan') return (node.axis === 'rows' ? node.x.rows : node.x.cols) === 1
  if (node.op === 'dot') return (node.transposeA ? node.a.rows : node.a.cols) === 1
  return node.op === 'transpose'
}

function describeResult(result: unknown): string {
  if (result instanceof Value) return `${result.dtype} [${result.rows}, ${result.cols}]`
  return `${result === null ? 'null' : typeof result} (use the methods of values: q.ge(k), score.mul(2))`
}
