import {
  differentiate,
  FoveaError,
  instantiate,
  isFloat,
  type Node,
  operands,
  simplifyExpressions,
  symbol,
  type TensorParam,
  Value,
} from '../../tile/index.ts'
import type { ScoreContext, ScoreMod } from '../hooks.ts'

export const contextNames = ['score', 'q', 'k', 'head', 'batch', 'qLength', 'kLength'] as const
export type ContextName = (typeof contextNames)[number]

/** A load of a captured tensor of floats that a score function makes, traced on symbols. */
export interface CapturedLoad {
  readonly tensor: TensorParam
  readonly indices: readonly Node[]
  /** which of the function's arguments the indices depend on */
  readonly uses: ReadonlySet<ContextName>
}

/** The derivative of a score function, traced once, for tiles of any shape. */
export interface ScoreGradient {
  /** the symbols that it was traced on */
  readonly symbols: Readonly<Record<ContextName, Node>>
  /** loads that gradients flow to, in order of first use */
  readonly loads: readonly CapturedLoad[]
  /** does dScore depend on the score itself (or is it a number times dS)? */
  readonly needsScore: boolean
  /**
   * Over a tile: the score function's value, dS · ∂value/∂score, and for each of `loads` its indices and dS · ∂value/∂element.
   * Positions and scores are values of any shapes that broadcast; `transposed` says that queries run along the columns.
   */
  instantiate(
    context: ScoreContext,
    dS: Value,
    options?: { readonly transposed?: boolean },
  ): {
    readonly value: Value
    readonly dScore: Value
    readonly captured: readonly { readonly indices: readonly Value[]; readonly value: Value }[]
  }
}

/** Throws `unsupported` for a captured tensor of floats that is gathered along an axis of its own: its gradient is not known. */
export function traceScoreGradient(where: string, scoreMod: ScoreMod): ScoreGradient {
  const context = Object.fromEntries(
    contextNames.map((name) => [name, symbol(name, name === 'score' ? 'f32' : 'i32')]),
  ) as Record<ContextName, Value>
  const dS = symbol('dS', 'f32')
  const symbols = Object.fromEntries(contextNames.map((name) => [name, context[name].node])) as Record<
    ContextName,
    Node
  >
  const [value] = simplifyExpressions([scoreMod(context).cast('f32').node]) as [Node]
  const reads = floatLoads(value)
  const found = differentiate([{ node: value, gradient: dS.node }], [symbols.score, ...reads])
  const dScore = found[0] ?? { op: 'const', value: 0, dtype: 'f32', rows: 1, cols: 1 }
  const loads = reads
    .map((load, i) => ({ load, gradient: found[i + 1] }))
    .filter((read): read is { load: (typeof reads)[number]; gradient: Node } => !!read.gradient)
  for (const { load, gradient } of loads)
    if (load.rows * load.cols !== 1 || gradient.rows * gradient.cols !== 1)
      throw new FoveaError(
        'unsupported',
        where,
        `scoreMod reads [${load.rows}, ${load.cols}] elements of a captured ${load.tensor.dtype} tensor at once, which has no gradient here; capture an integer tensor, or read single elements`,
      )
  const own = new Map([...Object.values(symbols), dS.node].map((node) => [node, node] as const))
  for (const { load } of loads)
    if (usesOf(load.indices, symbols).has('score'))
      throw new FoveaError(
        'unsupported',
        where,
        'scoreMod reads a captured tensor of floats at an index made from the score, which has no gradient here',
      )
  // an element outside the tensor, or that was not asked for, gets nothing
  const gated = loads.map(({ load, gradient }) =>
    load.where ? new Value(load.where).select(new Value(gradient), 0).node : gradient,
  )
  const roots = instantiate([value, dScore, ...gated, ...loads.flatMap(({ load }) => load.indices)], own)
  return {
    symbols,
    loads: loads.map(({ load }) => ({
      tensor: load.tensor,
      indices: load.indices,
      uses: usesOf(load.indices, symbols),
    })),
    needsScore: usesOf([dScore], symbols).has('score'),
    instantiate(given, dSGiven, options = {}) {
      const bindings = new Map<Node, Node>(contextNames.map((name) => [symbols[name], given[name].node]))
      bindings.set(dS.node, dSGiven.node)
      const [builtValue, builtScore, ...rest] = instantiate(roots, bindings, options).map(
        (node) => new Value(node),
      ) as [Value, Value, ...Value[]]
      let at = loads.length
      const captured = loads.map(({ load }, i) => {
        const indices = rest.slice(at, at + load.indices.length)
        at += load.indices.length
        return { indices, value: rest[i] as Value }
      })
      const { rows, cols } = dSGiven
      return { value: builtValue, dScore: builtScore.broadcastTo(rows, cols), captured }
    },
  }
}

function floatLoads(root: Node): Extract<Node, { op: 'load' }>[] {
  const found = new Set<Extract<Node, { op: 'load' }>>()
  const seen = new Set<Node>()
  const visit = (node: Node): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.op === 'load' && isFloat(node.dtype)) found.add(node)
    operands(node).forEach(visit)
  }
  visit(root)
  return [...found]
}

function usesOf(roots: readonly Node[], symbols: Readonly<Record<ContextName, Node>>): Set<ContextName> {
  const uses = new Set<ContextName>()
  const seen = new Set<Node>()
  const visit = (node: Node): void => {
    if (seen.has(node)) return
    seen.add(node)
    for (const name of contextNames) if (symbols[name] === node) uses.add(name)
    operands(node).forEach(visit)
  }
  roots.forEach(visit)
  return uses
}
