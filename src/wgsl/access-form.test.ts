import { describe, expect, it } from 'vitest'
import { typicalCapabilities } from '../cli/typical-capabilities.ts'
import { colRange, defineProgram, load, loop, rowRange, store, type Value } from '../tile/index.ts'
import { lowerProgram } from './lower-program.ts'

/** Loads of `scales` for each of four columns of x, in a kernel that multiplies x by scales[row, index(column)]. */
function loadsOfScales(index: (k: Value) => Value): number {
  const program = defineProgram('scaled', (p) => {
    const x = p.input('x', 'f32', [null, 256], { alignment: 4 })
    const scales = p.input('scales', 'f32', [null, null])
    const y = p.output('y', 'f32', [null, 256], { alignment: 4 })
    const rows = rowRange(p.programId(0).mul(8), 8)
    loop(
      { to: 256, step: 64 },
      {},
      (from, _, emit) => {
        const k = colRange(from, 64)
        emit(store(y, [rows, k], load(x, [rows, k]).mul(load(scales, [rows, index(k)]))))
        return {}
      },
      p.emit,
    )
  })
  const { code } = lowerProgram(program, typicalCapabilities[0])
  const loads = (name: string) => code.split(`${name}_data[`).length - 1
  return loads('scales') / loads('x')
}

describe('indices that four neighbouring columns share', () => {
  it('are loaded once for the four', () => {
    expect(loadsOfScales((k) => k.shr(5))).toBe(1)
    expect(loadsOfScales((k) => k.add(512).shr(2))).toBe(1)
  })
  it('are loaded for each where columns may differ', () => {
    expect(loadsOfScales((k) => k.shr(1))).toBe(4)
    expect(loadsOfScales((k) => k.add(2).shr(5))).toBe(4)
    expect(loadsOfScales((k) => k.mul(3).shr(5))).toBe(4)
  })
})
