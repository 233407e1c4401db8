import type { TensorTable } from '../files/tensor-table.ts'
import { float8Table } from './float8-table.ts'
import { int4Table } from './int4-table.ts'
import type { PackedFloat8, PackedInt4 } from './quantization-config.ts'

/** A table whose matrices are packed in several tensors each as one whose matrices are one. Throws what the two tables throw. */
export function packedTable(table: TensorTable, packed: PackedInt4 | PackedFloat8): TensorTable {
  return packed.kind === 'fp8' ? float8Table(table, packed) : int4Table(table, packed)
}
