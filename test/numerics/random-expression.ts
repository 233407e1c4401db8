import fc from 'fast-check'
import type { Value } from '../../src/tile/index.ts'

/** A recipe for an expression: the same one can be built over any leaves. */
export type Recipe =
  | { readonly kind: 'leaf'; readonly at: number }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'apply'; readonly fn: number; readonly parts: readonly [Recipe, Recipe, Recipe] }

/**
 * Functions of one to three expressions, each defined and moderate for all finite arguments, that together have every
 * floating-point operation of the tile language.
 */
const applications: readonly ((a: Value, b: Value, c: Value) => Value)[] = [
  (a, b) => a.add(b),
  (a, b) => a.sub(b),
  (a, b) => a.mul(b.tanh()),
  (a, b) => a.div(b.abs().add(0.7)),
  (a, b) => a.min(b),
  (a, b) => a.max(b),
  (a) => a.min(0.3).max(-1.2),
  (a) => a.max(0),
  (a, b) => a.mod(b.abs().add(0.6)),
  (a, b) => a.tanh().mul(0.4).add(1).pow(b.tanh()),
  (a) => a.tanh().pow(2),
  (a) => a.abs().add(0.5).pow(1.5).min(8),
  (a) => a.neg(),
  (a) => a.abs(),
  (a) => a.min(1).exp(),
  (a) => a.min(1.5).exp2(),
  (a) => a.abs().add(0.4).log(),
  (a) => a.abs().add(0.4).log2(),
  (a) => a.mul(a).add(0.3).sqrt(),
  (a) => a.mul(a).add(0.3).rsqrt(),
  (a) => a.mul(a).add(0.6).reciprocal(),
  (a) => a.sin(),
  (a) => a.cos(),
  (a) => a.tanh(),
  (a) => a.sigmoid(),
  (a) => a.erf(),
  (a, b) => a.add(b.floor().mul(0.1)),
  (a, b) => a.sub(b.ceil().mul(0.1)).add(b.round().mul(0.05)),
  (a, b) => a.mul(b.sign()),
  (a, b, c) => a.lt(b).select(c, a),
  (a, b, c) => a.gt(0.2).and(b.le(c)).not().select(b, c.mul(0.5)),
  (a, b) => a.cast('i32').cast('f32').add(b),
]

const { recipe } = fc.letrec<{ recipe: Recipe }>((tie) => ({
  recipe: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'recipe' },
    fc.record({ kind: fc.constant('leaf' as const), at: fc.nat(63) }),
    fc.record({
      kind: fc.constant('number' as const),
      value: fc.integer({ min: -150, max: 150 }).map((n) => n / 100 + 0.0013),
    }),
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('apply' as const),
        fn: fc.nat(applications.length - 1),
        parts: fc.tuple(tie('recipe'), tie('recipe'), tie('recipe')),
      }),
    },
  ),
}))

/** Random expressions; those with few operations first. */
export const recipes: fc.Arbitrary<Recipe> = recipe

/** The expression over these leaves, each made when it is met. */
export function buildRecipe(recipe: Recipe, leaves: readonly (() => Value)[], number: (value: number) => Value): Value {
  if (recipe.kind === 'number') return number(recipe.value)
  if (recipe.kind === 'leaf') return (leaves[recipe.at % leaves.length] as () => Value)()
  const [a, b, c] = recipe.parts.map((part) => buildRecipe(part, leaves, number)) as [Value, Value, Value]
  return (applications[recipe.fn] as (typeof applications)[number])(a, b, c)
}
