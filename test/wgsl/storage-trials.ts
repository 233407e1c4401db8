import { colRange, defineProgram, load, rowRange, type StorageDType, store } from '../../src/tile/index.ts'
import type { TensorData } from './kernel-runner.ts'
import { seededRandom } from './seeded-random.ts'
import { defaults, filled, type Trial } from './trial.ts'

export function storageTrials(): Trial[] {
  const { numbers, integers } = seededRandom(4)
  const dtypes: readonly StorageDType[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'i8', 'u8']
  const layouts = [
    { cols: 16, alignment: 8, stride: 16, offset: 0 },
    { cols: 16, alignment: 8, stride: 24, offset: 8 },
    { cols: 12, alignment: 4, stride: 16, offset: 4 },
    { cols: 13, alignment: 4, stride: 16, offset: 4 },
    { cols: 7, alignment: 1, stride: 9, offset: 3 },
  ]
  const trials = dtypes.flatMap((dtype) =>
    [true, false].map((known, alone): Trial => {
      const rows = 5
      const wide = dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
      const tensors: Record<string, TensorData> = {}
      const program = defineProgram('trial', (p) => {
        for (const [n, { cols, alignment, stride, offset }] of layouts.slice(alone, alone + 4).entries()) {
          const x = p.input(`x${n}`, dtype, [null, known ? cols : null], { alignment })
          const y = p.output(`y${n}`, dtype, [null, known ? cols : null], { alignment })
          const at = [rowRange(p.programId(0).mul(4).sub(1), 4), colRange(0, 16)] as const
          p.emit(store(y, at, load(x, at).add(1), { where: rowRange(0, 4).ne(1) }))
          const length = offset + rows * stride
          const layout = { shape: [rows, cols], strides: [stride, 1], offset }
          tensors[`x${n}`] = { values: wide ? numbers(length, 100) : integers(length, 120), ...layout }
          tensors[`y${n}`] = { values: filled(length, 9), ...layout }
        }
      })
      // the interpreter adds in float64: a tie may round the other way
      const tolerance = dtype === 'f16' ? 1e-3 : dtype === 'bf16' ? 8e-3 : defaults.tolerance
      return {
        ...defaults,
        tolerance,
        name: `storage of ${dtype}, rows of ${known ? 'known' : 'run-time'} length`,
        program,
        tensors,
        grid: [2, 1, 1],
      }
    }),
  )
  const gather = defineProgram('trial', (p) => {
    const index = p.input('index', 'i32', [null])
    const x = p.input('x', 'f32', [null, null])
    const y = p.output('y', 'f16', [null, null])
    const rows = load(index, [rowRange(0, 9)])
    const value = load(x, [rows, colRange(-2, 11)], { where: colRange(0, 11).ne(3) })
    p.emit(store(y, [colRange(0, 11), rowRange(0, 9)], value))
  })
  trials.push({
    ...defaults,
    name: 'gather and scatter with indices out of range',
    program: gather,
    tensors: {
      index: { values: [3, 0, -1, 6, 7, 2, 100, 1], shape: [8] },
      x: { values: numbers(7 * 8), shape: [7, 8] },
      y: { values: filled(13 * 9, 5), shape: [13, 9] },
    },
  })
  return trials
}
