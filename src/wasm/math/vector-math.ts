import type { FunctionBuilder } from '../assembler/function-builder.ts'
import { f32x4, get, type Instruction, i32x4, op } from '../assembler/instruction.ts'

/** What the emitters of mathematical functions build with: all values are v128, four lanes of f32 or i32. */
export interface VectorMath {
  /** four equal f32 lanes; may be kept in a local across a loop */
  constant(value: number): Instruction
  /** four equal i32 lanes */
  integer(value: number): Instruction
  /** a · b + c: one rounding with relaxed SIMD, two without */
  multiplyAdd(a: Instruction, b: Instruction, c: Instruction): Instruction
  /** computes a value now, once; each call of the result reads it */
  share(value: Instruction): () => Instruction
}

/** Emitters that write constants where they are used and share values through locals of `target`. */
export function vectorMath(target: FunctionBuilder, relaxed: boolean): VectorMath {
  return {
    constant: f32x4,
    integer: i32x4,
    multiplyAdd: (a, b, c) => multiplyAdd(relaxed, a, b, c),
    share: (value) => {
      const local = target.let(value, 'shared')
      return () => get(local)
    },
  }
}

/** a · b + c as the build allows it. */
export function multiplyAdd(relaxed: boolean, a: Instruction, b: Instruction, c: Instruction): Instruction {
  return relaxed ? op('f32x4.relaxed_madd', a, b, c) : op('f32x4.add', op('f32x4.mul', a, b), c)
}

/** c₀ + x·(c₁ + x·(c₂ + …)) by Horner's rule. */
export function polynomial(m: VectorMath, x: () => Instruction, coefficients: readonly number[]): Instruction {
  const highestFirst = [...coefficients].reverse()
  const [first = 0, ...rest] = highestFirst
  return rest.reduce(
    (sum: Instruction, coefficient) => m.multiplyAdd(sum, x(), m.constant(coefficient)),
    m.constant(first),
  )
}
