import { isFloat } from '../../ir/dtype.ts'
import { FoveaError } from '../../ir/error.ts'
import type { ScanNode } from '../../ir/node.ts'
import { f32, f32x4, get, i32, i32x4, load, op, set, store } from '../assembler/instruction.ts'
import type { EmitScope } from './emit-scope.ts'

/** Running sums: down the rows four columns at a time, along the columns (and down a row vector) element by element. */
export function emitScan(scope: EmitScope, node: ScanNode): void {
  const { f, scratch } = scope
  const [from, to] = [scope.slots.plain.get(node.x), scope.slots.plain.get(node)]
  if (!from || !to) throw new FoveaError('compile', 'compileProgram', 'a running sum has no buffer')
  const float = isFloat(node.dtype)
  const down = node.axis === 'rows'
  const length = down ? node.rows : node.cols
  f.scoped(() => {
    const walk = (vector: boolean, elementStep: number) => {
      const sum = f.local(vector ? 'v128' : float ? 'f32' : 'i32', 'running')
      const at = f.local('i32', 'at')
      const last = (length - 1) * elementStep
      return (start: () => ReturnType<typeof get>, shift = 0) => {
        f.emit(set(at, node.reverse ? op('i32.add', start(), i32(last)) : start()))
        f.emit(set(sum, vector ? (float ? f32x4(0) : i32x4(0)) : float ? f32(0) : i32(0)))
        f.repeat(length, [[at, node.reverse ? -elementStep : elementStep]], () => {
          const value = load(
            vector ? 'v128.load' : float ? 'f32.load' : 'i32.load',
            get(at),
            from.storage.offset + shift,
          )
          f.emit(
            set(sum, op(vector ? (float ? 'f32x4.add' : 'i32x4.add') : float ? 'f32.add' : 'i32.add', get(sum), value)),
          )
          f.emit(
            store(
              vector ? 'v128.store' : float ? 'f32.store' : 'i32.store',
              get(at),
              get(sum),
              to.storage.offset + shift,
            ),
          )
        })
      }
    }
    if (down && node.cols > 1) {
      const column = walk(true, from.rowStride)
      for (let lane = 0; lane < node.cols; lane += 4) column(() => get(scratch), lane * 4)
      return
    }
    const line = walk(false, 4)
    if (down || node.rows === 1) {
      line(() => get(scratch))
      return
    }
    const row = f.local('i32', 'line')
    f.forRange(row, i32(0), i32(node.rows), 1, () =>
      line(() => op('i32.add', get(scratch), op('i32.mul', get(row), i32(from.rowStride)))),
    )
  })
}
