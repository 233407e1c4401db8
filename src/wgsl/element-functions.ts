import { type BinaryFn, type DType, isFloat, type UnaryFn } from '../ir/index.ts'
import type { TextWriter } from './text-writer.ts'
import { elementType, literal, valueType, type Width, widen } from './value-type.ts'

/** Names of the helper functions (see helper-functions.ts) that rendered text needs. */
export type HelperUse = (name: string) => string

/** WGSL of fn(x), element-wise; `x` is of the node's operand dtype. */
export function renderUnary(fn: UnaryFn, x: string, dtype: DType, width: Width, helper: HelperUse): string {
  const one = widen('1f', 'f32', 1, width)
  switch (fn) {
    case 'neg':
      return `-(${x})`
    case 'not':
      return dtype === 'bool' ? `!(${x})` : `~(${x})`
    case 'fromBits':
      return `bitcast<${valueType('f32', width)}>(${x})`
    case 'rsqrt':
      return `inverseSqrt(${x})`
    case 'reciprocal':
      return `(${one} / ${x})`
    case 'tanh':
      // beyond 15 the quotient of exponentials would overflow on some drivers; NaN must stay
      return `tanh(clamp(${x}, ${widen('-15f', 'f32', 1, width)}, ${widen('15f', 'f32', 1, width)}))`
    case 'sigmoid':
      return `(${one} / (${one} + exp(-(${x}))))`
    case 'erf':
      return `${helper(`erf${width}`)}(${x})`
    case 'round':
    case 'abs':
    case 'exp':
    case 'exp2':
    case 'log':
    case 'log2':
    case 'sqrt':
    case 'sin':
    case 'cos':
    case 'floor':
    case 'ceil':
    case 'sign':
      return `${fn}(${x})`
    default:
      return fn satisfies never
  }
}

const infix: Partial<Record<BinaryFn, string>> = { add: '+', sub: '-', mul: '*', lt: '<', le: '<=', gt: '>', ge: '>=' }

/** WGSL of fn(a, b), both of `dtype` and `width`. `bConstant`: b's value where it is a constant. */
export function renderBinary(
  fn: BinaryFn,
  a: string,
  b: string,
  dtype: DType,
  width: Width,
  helper: HelperUse,
  bConstant: number | null = null,
): string {
  const splat = (text: string, type: DType = dtype) => widen(text, type, 1, width)
  const operator = infix[fn]
  if (operator) return `(${a} ${operator} ${b})`
  switch (fn) {
    case 'eq':
    case 'ne': {
      const sign = fn === 'eq' ? '==' : '!='
      if (isFloat(dtype) && (bConstant === Number.POSITIVE_INFINITY || bConstant === Number.NEGATIVE_INFINITY)) {
        // WGSL may assume that floats are finite: compare bits
        const bits = bConstant < 0 ? '0xff800000u' : '0x7f800000u'
        return `(bitcast<${valueType('u32', width)}>(${a}) ${sign} ${splat(bits, 'u32')})`
      }
      return `(${a} ${sign} ${b})`
    }
    case 'min':
    case 'max':
      return `${fn}(${a}, ${b})`
    case 'pow':
      return `${helper(`pow${width}`)}(${a}, ${b})`
    case 'div':
      if (isFloat(dtype) || (bConstant !== null && bConstant !== 0)) return `(${a} / ${b})`
      if (bConstant === 0) return splat(literal(0, dtype))
      return `select(${a} / ${b}, ${splat(literal(0, dtype))}, ${b} == ${splat(literal(0, dtype))})`
    case 'mod':
      if (isFloat(dtype) || (bConstant !== null && bConstant !== 0)) return `(${a} % ${b})`
      if (bConstant === 0) return splat(literal(0, dtype))
      return `select(${a} % ${b}, ${splat(literal(0, dtype))}, ${b} == ${splat(literal(0, dtype))})`
    case 'and':
      return `(${a} & ${b})`
    case 'or':
      return `(${a} | ${b})`
    case 'xor':
      return dtype === 'bool' ? `(${a} != ${b})` : `(${a} ^ ${b})`
    case 'shl':
      return `(${a} << (${valueType('u32', width)}(${b}) & ${splat('31u', 'u32')}))`
    case 'shr':
      return `(${a} >> (${valueType('u32', width)}(${b}) & ${splat('31u', 'u32')}))`
    case 'add':
    case 'sub':
    case 'mul':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      throw new Error(`renderBinary: ${fn} is infix`)
    default:
      return fn satisfies never
  }
}

/** WGSL of a conversion: floats to integers truncate and saturate, NaN gives 0; narrow floats round to nearest even. */
export function renderCast(
  x: string,
  from: DType,
  to: DType,
  width: Width,
  halves: boolean,
  helper: HelperUse,
): string {
  const [source, target] = [elementType(from), elementType(to)]
  const type = valueType(to, width)
  const zero = widen(literal(0, to), to, 1, width)
  if (to === 'f16') {
    const wide = source === 'f32' ? x : `${valueType('f32', width)}(${x})`
    return halves
      ? `${valueType('f32', width)}(${width === 4 ? 'vec4<f16>' : 'f16'}(${wide}))`
      : `${helper(`roundHalf${width}`)}(${wide})`
  }
  if (to === 'bf16')
    return `${helper(`roundBfloat${width}`)}(${source === 'f32' ? x : `${valueType('f32', width)}(${x})`})`
  if (source === target) return x
  if (target === 'bool') return `(${x} != ${widen(literal(0, from), from, 1, width)})`
  if (source === 'f32') {
    const magnitude = `(bitcast<${valueType('u32', width)}>(${x}) & ${widen('0x7fffffffu', 'u32', 1, width)})`
    const saturated = to === 'u32' ? `${helper(`toU32x${width}`)}(${x})` : `${helper(`toI32x${width}`)}(${x})`
    return `select(${saturated}, ${zero}, ${magnitude} > ${widen('0x7f800000u', 'u32', 1, width)})`
  }
  if (source === 'u32' && target === 'i32') return `${type}(min(${x}, ${widen('2147483647u', 'u32', 1, width)}))`
  if (source === 'i32' && target === 'u32') return `${type}(max(${x}, ${widen('0i', 'i32', 1, width)}))`
  return `${type}(${x})`
}

/** WGSL of table[x]: of four words that hold four entries each, one is chosen and shifted; arrays would lie in memory. */
export function renderLookup(w: TextWriter, table: readonly number[], x: string, width: Width): string {
  const index = w.share(x, 'code')
  const word = (at: number) => {
    const [a, b, c, d] = [0, 1, 2, 3].map((i) => (table[4 * at + i] as number) & 255) as [
      number,
      number,
      number,
      number,
    ]
    return widen(literal(a | (b << 8) | (c << 16) | (d << 24), 'i32'), 'i32', 1, width)
  }
  const bit = (mask: number) => `(${index} & ${widen(`${mask}i`, 'i32', 1, width)}) != ${widen('0i', 'i32', 1, width)}`
  const [high, low] = [bit(8), bit(4)].map((text) => w.share(text, 'bit'))
  const chosen = `select(select(${word(0)}, ${word(1)}, ${low}), select(${word(2)}, ${word(3)}, ${low}), ${high})`
  const unsigned = valueType('u32', width)
  const shift = `${unsigned}((~${index} & ${widen('3i', 'i32', 1, width)}) << ${widen('3u', 'u32', 1, width)})`
  return `((${chosen} << ${shift}) >> ${widen('24u', 'u32', 1, width)})`
}
