import * as ir from '../ir/build.ts'
import { checkFields, type FieldsOf } from '../ir/check-fields.ts'
import type { DType } from '../ir/dtype.ts'
import type { EffectNode, Node, TensorParam } from '../ir/node.ts'
import { type Operand, toNode, Value } from './value.ts'

/** An effect of a program: a store, or a loop that stores. Made by `store`, passed to `emit`. */
export interface Effect {
  readonly effect: EffectNode
}

const accessFields: FieldsOf<NonNullable<Parameters<typeof load>[2]>> = { where: true }

const index = (operand: Operand) => toNode(operand, 'i32')

/** A constant tile. */
export function full([rows, cols]: readonly [number, number], value: number, dtype: DType = 'f32'): Value {
  return new Value(ir.constant(value, dtype, rows, cols))
}
export function zeros(shape: readonly [number, number]): Value {
  return full(shape, 0)
}
/** A number or boolean as a scalar value. */
export function scalar(value: number | boolean, dtype: DType = 'f32'): Value {
  return new Value(typeof value === 'boolean' ? toNode(value) : ir.constant(value, dtype))
}
/** start, start + 1, … down the rows: i32 [n, 1] */
export function rowRange(start: Operand, n: number): Value {
  return new Value(ir.binary('add', index(start), ir.iota(n, 'rows')))
}
/** start, start + 1, … along the columns: i32 [1, n] */
export function colRange(start: Operand, n: number): Value {
  return new Value(ir.binary('add', index(start), ir.iota(n, 'cols')))
}
/** The run-time size of a tensor's dimension (i32). */
export function sizeOf(tensor: TensorParam, dim: number): Value {
  return new Value(ir.sizeOf(tensor, dim))
}
/**
 * tensor[indices], the indices (i32, one per dimension) broadcast together: `load(key, [b, rowRange(start, 64), h, colRange(0, 64)])`
 * is a tile [64, 64]. Outside the tensor, and where `where` is false, it reads 0.
 */
export function load(tensor: TensorParam, indices: readonly Operand[], options: { where?: Value } = {}): Value {
  checkFields('load', 'options', options, accessFields)
  return new Value(ir.load(tensor, indices.map(index), options.where?.node ?? null))
}
/** tensor[indices] = value, rounded to the tensor's dtype; dropped outside the tensor and where `where` is false. */
export function store(
  tensor: TensorParam,
  indices: readonly Operand[],
  value: Operand,
  options: { where?: Value } = {},
): Effect {
  checkFields('store', 'options', options, accessFields)
  return { effect: ir.store(tensor, indices.map(index), toNode(value), options.where?.node ?? null) }
}
/** Matrix product a · b in f32 accumulation: [m, k] · [k, n] → f32 [m, n]. Transposed operands (`x.T`) cost nothing. */
export function dot(a: Value, b: Value): Value {
  return new Value(ir.dot(a.node, b.node))
}
export function select(cond: Value, a: Operand, b: Operand): Value {
  return cond.select(a, b)
}
export function max(a: Value, b: Operand): Value {
  return a.max(b)
}
export function min(a: Value, b: Operand): Value {
  return a.min(b)
}
export const exp = (x: Value): Value => x.exp()
export const exp2 = (x: Value): Value => x.exp2()
export const log = (x: Value): Value => x.log()
export const rowMax = (x: Value): Value => x.rowMax()
export const rowSum = (x: Value): Value => x.rowSum()

/** Half-open range of a loop's index; `step` defaults to 1 and is a compile-time number. */
export interface LoopRange {
  readonly from?: Operand
  readonly to: Operand
  readonly step?: number
}

const rangeFields: FieldsOf<LoopRange> = { from: true, to: true, step: true }

/**
 * for (i = from; i < to; i += step) carried = body(i, carried): returns the carried values after the last round. The body
 * gives every carried value again with the same shape and dtype; stores inside it go to `emit`. When the body emits, the
 * loop is itself an effect and is reported to `outer`, the emit of the surrounding loop or program.
 */
export function loop<Carried extends Readonly<Record<string, Value>>>(
  range: LoopRange,
  init: Carried,
  body: (i: Value, carried: Carried, emit: (effect: Effect) => void) => { readonly [K in keyof Carried]: Value },
  outer?: (effect: Effect) => void,
): { readonly [K in keyof Carried]: Value } {
  checkFields('loop', 'range', range, rangeFields)
  const names = Object.keys(init) as (keyof Carried & string)[]
  const step = range.step ?? 1
  const from = index(range.from ?? 0)
  const multiple = from.op === 'const' && from.value % step === 0 ? step : 1
  const indexArg = ir.arg('i', { dtype: 'i32', rows: 1, cols: 1 }, multiple)
  const args = names.map((name) => ir.arg(name, (init[name] as Value).node))
  const effects: EffectNode[] = []
  const carried = Object.fromEntries(names.map((name, i) => [name, new Value(args[i] as Node)])) as unknown as Carried
  const next = body(new Value(indexArg), carried, (e) => effects.push(e.effect))
  const parts = ir.loop({
    from,
    to: index(range.to),
    step,
    index: indexArg,
    inits: names.map((name) => (init[name] as Value).node),
    args,
    results: names.map((name) => (next[name] as Value | undefined)?.node as Node),
    effects,
  })
  if (effects.length) {
    if (!outer)
      throw new TypeError('loop: its body emits stores, so it needs the surrounding emit as its last argument')
    outer({ effect: parts.loop })
  }
  return Object.fromEntries(names.map((name, i) => [name, new Value(parts.values[i] as Node)])) as {
    [K in keyof Carried]: Value
  }
}
