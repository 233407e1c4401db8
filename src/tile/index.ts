export { checkChoice } from '../ir/check-choice.ts'
export { checkFields, type FieldsOf } from '../ir/check-fields.ts'
export { closestName, meant } from '../ir/closest-name.ts'
export { differentiate, type Seeded } from '../ir/differentiate.ts'
export { type DType, isFloat, type StorageDType, storageBytes } from '../ir/dtype.ts'
export { type ErrorCode, FoveaError } from '../ir/error.ts'
export { expressionKey } from '../ir/expression-key.ts'
export { instantiate } from '../ir/instantiate.ts'
export { type IntervalReading, type KnownTensor, readIntervals } from '../ir/interval.ts'
export type { Interval } from '../ir/interval-bounds.ts'
export { fromBfloatBits, fromHalfBits, toBfloatBits, toHalfBits } from '../ir/narrow-float.ts'
export { type Node, operands, type ScalarParam, type TensorParam } from '../ir/node.ts'
export { type HostTensor, type RangeExtremes, rangeExtremes } from '../ir/range-extremes.ts'
export type { Program } from '../ir/schedule.ts'
export { simplifyExpressions } from '../ir/simplify.ts'
export { alignmentOf, contiguousStrides, type TensorSpec } from '../ir/tensor-spec.ts'
export { defineProgram, type ProgramBuilder } from './define-program.ts'
export type { Kernel } from './kernel.ts'
export {
  colRange,
  dot,
  type Effect,
  exp,
  exp2,
  full,
  type LoopRange,
  load,
  log,
  loop,
  max,
  min,
  rowMax,
  rowRange,
  rowSum,
  scalar,
  select,
  sizeOf,
  store,
  zeros,
} from './language.ts'
export { longAxis, longAxisId } from './long-axis.ts'
export { mixBits } from './mix-bits.ts'
export { symbol } from './symbol.ts'
export { type Operand, Value } from './value.ts'
