import { colRange, defineProgram, dot, load, rowRange, store } from '../../src/tile/index.ts'
import type { WgslTuning } from '../../src/wgsl/lower-program.ts'
import type { TensorData } from './kernel-runner.ts'
import { seededRandom } from './seeded-random.ts'
import { defaults, filled, type Trial } from './trial.ts'

export function dotTrials(): Trial[] {
  const { numbers } = seededRandom(3)
  const sizes: readonly (readonly [number, number, number])[] = [
    [1, 1, 1],
    [1, 9, 5],
    [8, 1, 12],
    [3, 5, 7],
    [16, 16, 16],
    [20, 36, 33],
    [40, 20, 26],
  ]
  const tunings: readonly WgslTuning[] = [{}, { slice: 8 }, { threadRows: 8, threadCols: 4, slice: 16 }]
  const orders = [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const
  return sizes.flatMap(([m, n, k]) =>
    [false, true].flatMap((held) =>
      tunings.flatMap((tuning, at) =>
        // two orders to a program: six tensors
        [0, 2].map((first): Trial => {
          const tensors: Record<string, TensorData> = {}
          const program = defineProgram('trial', (p) => {
            orders.slice(first, first + 2).forEach(([ta, tb], order) => {
              const input = (label: string, rows: number, cols: number) => {
                tensors[label] = { values: numbers(rows * cols), shape: [rows, cols] }
                const param = p.input(label, 'f32', [rows, order ? cols : null], { alignment: cols % 4 ? 1 : 4 })
                const tile = load(param, [rowRange(0, rows), colRange(0, cols)])
                // a reduction keeps it in registers
                return held ? tile.sub(tile.rowMax()) : tile
              }
              const a = ta ? input(`a${order}`, k, m).T : input(`a${order}`, m, k)
              const b = tb ? input(`b${order}`, n, k).T : input(`b${order}`, k, n)
              // a transpose inside a sum, too
              const product = dot(a, ta && tb ? b.add(0.5) : b)
              tensors[`y${order}`] = { values: filled(m * n), shape: [m, n] }
              const y = p.output(`y${order}`, 'f32', [null, null])
              p.emit(store(y, [rowRange(0, m), colRange(0, n)], product.add(1)))
            })
          })
          const name = `dot [${m}, ${k}] [${k}, ${n}] ${first ? 'b' : 'a'}${held ? ' from registers' : ''}, tuning ${at}`
          return { ...defaults, name, program, tensors, tuning }
        }),
      ),
    ),
  )
}
