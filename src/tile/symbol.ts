import * as ir from '../ir/build.ts'
import type { DType } from '../ir/dtype.ts'
import { Value } from './value.ts'

/** A named scalar that stands for nothing yet: what a hook is called with when its expression is to be read, not run. */
export function symbol(name: string, dtype: DType = 'i32'): Value {
  return new Value(ir.arg(name, { dtype, rows: 1, cols: 1 }))
}
