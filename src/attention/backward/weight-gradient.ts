import {
  differentiate,
  FoveaError,
  instantiate,
  type Node,
  operands,
  simplifyExpressions,
  symbol,
  Value,
} from '../../tile/index.ts'
import type { Normalizer, RowState } from '../normalizers/normalizer.ts'

// With the final state of a row known, weights are p_k = scale · step(s_k), output = Σ p_k v_k, and the state's sums are
// l = Σ g(s_k). With dP_k = dO · v_k and delta = dO · O = Σ p_k dP_k:
//
//   dS_k = scale · ∂step/∂s · dP_k + ∂g/∂s · coefficient
//   coefficient = delta · (∂scale/∂l) / scale + dLse · ∂lse/∂l        (a term of this kind for every sum of the state)
//
// Maxima only stabilise: the result does not depend on them, and no gradient flows through them.

/** Row vectors that a row's terms are computed from: [tileQ, 1], or any shape that broadcasts with it. */
export interface RowValues {
  readonly lse: Value
  /** rowsum(dO ∘ O) */
  readonly delta: Value
  /** gradient of `lse`; null: none */
  readonly dLse: Value | null
  /** the extra logit; null: none */
  readonly sink: Value | null
  /** the final state by name, where `stored` names any */
  readonly state?: RowState
}

/** A normalizer's derivative, in two halves: what is computed once per row, and what remains for every score. */
export interface NormalizerGradient {
  /** names of the state that the backward pass must find by itself; none where the normalizer resumes from lse */
  readonly stored: readonly string[]
  /** how many numbers (f32) per row `tile` takes */
  readonly termCount: number
  /** the terms of rows, to be kept, and the rows' gradient of the sink (null without one) */
  rows(values: RowValues): { readonly terms: readonly Value[]; readonly dSink: Value | null }
  /**
   * Weights p (scale included) and dS, the gradient of scores in natural units, of a tile. `s` are scores as `step` takes
   * them (masked ones −∞), `dP` = dO · vᵀ, `terms` those of its rows: [tileQ, 1] for tiles [tileQ, tileK], [1, tileQ] for
   * transposed ones. Masked scores get 0 and 0.
   */
  tile(values: { readonly s: Value; readonly dP: Value; readonly terms: readonly Value[] }): {
    readonly p: Value
    readonly dS: Value
  }
}

const one = { op: 'const', value: 1, dtype: 'f32', rows: 1, cols: 1 } as const

/** Reads a normalizer once, with symbols. `sink`, `dLse`: does the call have them? Throws `unsupported`, see below. */
export function traceNormalizer(
  where: string,
  normalizer: Normalizer,
  has: { readonly sink: boolean; readonly dLse: boolean },
): NormalizerGradient {
  const f32 = (name: string) => symbol(name, 'f32')
  const [natural, dP, lse, delta] = [f32('s'), f32('dP'), f32('lse'), f32('delta')]
  const dLse = has.dLse ? f32('dLse') : null
  const sink = has.sink ? f32('sink') : null
  const names = Object.keys(normalizer.init(1))
  const state: RowState = Object.fromEntries(names.map((name) => [name, f32(name)]))
  const given = [dP, lse, delta, dLse, sink, ...Object.values(state)].filter((value) => value !== null)

  const scaled = normalizer.units === 'log2' ? natural.mul(Math.LOG2E) : natural
  const { weight, sums, s } = settle(where, normalizer, state, scaled.node, given)
  const { scale, lse: total } = normalizer.finish(state, sink)
  const slopes = (of: Value | null, by: Value) => of && differentiate([{ node: of.node, gradient: one }], [by.node])[0]
  /** what a change of `by` does to the loss through the output's factor and through lse */
  const effect = (by: Value): Value => {
    const [ofScale, ofLse] = [slopes(scale, by), slopes(total, by)]
    const throughScale = scale && ofScale ? scale.eq(0).select(0, new Value(ofScale).mul(delta).div(scale)) : null
    const throughLse = dLse && ofLse ? dLse.mul(new Value(ofLse)) : null
    if (throughScale && throughLse) return throughScale.add(throughLse)
    return throughScale ?? throughLse ?? new Value({ ...one, value: 0 })
  }
  const seeds = sums.map(({ name, node }) => ({ node, gradient: effect(state[name] as Value).node }))
  const dWeight = scale ? dP.mul(scale) : dP
  const [dS] = differentiate([{ node: weight, gradient: dWeight.node }, ...seeds], [natural.node])
  const dSink = sink ? effect(sink).node : null
  const p = scale ? new Value(weight).mul(scale).node : weight

  // the same in terms of lse, where it tells the state
  const resumed = normalizer.resume?.(lse, sink)
  const known = new Map(given.map(({ node }) => [node, node]))
  if (resumed) for (const name of names) known.set((state[name] as Value).node, (resumed[name] as Value).node)
  known.set(natural.node, natural.node)
  const wanted = [p, dS ?? { ...one, value: 0 }, s, ...(dSink ? [dSink] : [])]
  const [tileP, tileDs, tileS, rowSink] = simplifyExpressions(instantiate(wanted, known)) as [Node, Node, Node, Node?]
  const terms = maximalRowTerms([tileP, tileDs], new Set([tileS, dP.node]))
  return {
    stored: resumed ? [] : names,
    termCount: terms.length,
    rows(values) {
      const bindings = new Map<Node, Node>([
        [lse.node, values.lse.node],
        [delta.node, values.delta.node],
      ])
      if (dLse && values.dLse) bindings.set(dLse.node, values.dLse.node)
      if (sink && values.sink) bindings.set(sink.node, values.sink.node)
      for (const name of names) {
        const value = values.state?.[name]
        if (value) bindings.set((state[name] as Value).node, value.node)
      }
      const built = instantiate([...terms, ...(rowSink ? [rowSink] : [])], bindings).map((node) => new Value(node))
      return { terms: built.slice(0, terms.length).map((term) => term.cast('f32')), dSink: built[terms.length] ?? null }
    },
    tile(values) {
      const bindings = new Map<Node, Node>([
        [tileS, values.s.node],
        [dP.node, values.dP.node],
      ])
      terms.forEach((term, i) => {
        const value = values.terms[i] as Value
        bindings.set(term, term.dtype === 'bool' ? value.ne(0).node : value.node)
      })
      const [builtP, builtDs] = instantiate([tileP, tileDs], bindings) as [Node, Node]
      return { p: new Value(builtP), dS: new Value(builtDs) }
    },
  }
}

/**
 * `step` at the final state, where stabilisers no longer move: the weight of one score, and the new value of every sum.
 * Throws `unsupported` when weights or sums still depend on a maximum or minimum of scores that is not part of the state.
 */
function settle(where: string, normalizer: Normalizer, state: RowState, score: Node, given: readonly Value[]) {
  const { state: next, p } = normalizer.step(state, new Value(score))
  const names = Object.keys(state)
  const moved = names.map((name) => (next[name] as Value).node)
  const [s, weight, ...simple] = simplifyExpressions([score, p.node, ...moved]) as [Node, Node, ...Node[]]
  const fixed = new Map<Node, Node>([[s, s], ...given.map(({ node }) => [node, node] as const)])
  const sums = names
    .map((name, i) => ({ name, node: simple[i] as Node }))
    .filter(({ node }) => gathers(node, ['sum'], s))
  names.forEach((name, i) => {
    if (!sums.some((sum) => sum.name === name)) fixed.set(simple[i] as Node, (state[name] as Value).node)
  })
  const [settled, ...settledSums] = instantiate([weight, ...sums.map(({ node }) => node)], fixed) as [Node, ...Node[]]
  if ([settled, ...settledSums].some((node) => gathers(node, ['max', 'min'], s)))
    throw new FoveaError(
      'unsupported',
      where,
      `the normalizer ${normalizer.name} has no derivative: its weights depend on a maximum of scores that its state does not keep`,
    )
  return { s, weight: settled, sums: sums.map(({ name }, i) => ({ name, node: settledSums[i] as Node })) }
}

/** Does an expression hold a reduction of this kind over something that depends on `s`? */
function gathers(root: Node, kinds: readonly string[], s: Node): boolean {
  const dependsOnS = dependence(new Set([s]))
  const seen = new Set<Node>()
  const visit = (node: Node): boolean => {
    if (seen.has(node)) return false
    seen.add(node)
    if (node.op === 'reduce' && kinds.includes(node.fn) && dependsOnS(node.x)) return true
    return operands(node).some(visit)
  }
  return visit(root)
}

/** The largest parts of expressions that depend on none of `perScore`, constants aside, in order of first use. */
function maximalRowTerms(roots: readonly Node[], perScore: ReadonlySet<Node>): Node[] {
  const depends = dependence(perScore)
  const terms = new Set<Node>()
  const seen = new Set<Node>()
  const visit = (node: Node): void => {
    if (seen.has(node) || perScore.has(node)) return
    seen.add(node)
    if (depends(node)) operands(node).forEach(visit)
    else if (node.op !== 'const') terms.add(node)
  }
  roots.forEach(visit)
  return [...terms]
}

function dependence(sources: ReadonlySet<Node>): (node: Node) => boolean {
  const known = new Map<Node, boolean>()
  const depends = (node: Node): boolean => {
    const done = known.get(node)
    if (done !== undefined) return done
    const found = sources.has(node) || operands(node).some(depends)
    known.set(node, found)
    return found
  }
  return depends
}
