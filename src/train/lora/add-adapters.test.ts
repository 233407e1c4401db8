import { expect, it } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { openDevice, type Tensor } from '../../device/index.ts'
import { linear } from '../tape/linear.ts'
import { TapeCore } from '../tape/tape-core.ts'
import { Held } from '../tape/variable.ts'
import { Workspace } from '../workspace.ts'
import { addAdapters } from './add-adapters.ts'

const seed = 1

/** A matrix in float64. */
type Matrix = readonly (readonly number[])[]

const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => (b[0] ?? []).map((_, col) => row.reduce((sum, v, k) => sum + v * (b[k]?.[col] as number), 0)))
const transpose = (x: Matrix): Matrix => (x[0] ?? []).map((_, col) => x.map((row) => row[col] as number))
const scaled = (x: Matrix, factor: number): Matrix => x.map((row) => row.map((v) => v * factor))

it.each(['f32', 'bf16'] as const)('addAdapters has the gradients of the merged matrix, in %s', async (dtype) => {
  const device = await openDevice('wasm', { wasm: { threads: 1 } })
  const [N, K, rank, scale] = [9, 20, 3, 1.5]
  // the rows 8 … 19 of the block have no adapter
  const layers = [
    { column: 0, outputs: 8 },
    { column: 20, outputs: 4 },
  ]
  const random = randomNumbers(seed)
  const read = async (tensor: Tensor): Promise<Matrix> => {
    const [values, [rows = 0, cols = 0]] = [await tensor.read(), tensor.shape]
    return Array.from({ length: rows }, (_, row) => [...values.slice(row * cols, (row + 1) * cols)])
  }
  const draw = (rows: number, cols: number) =>
    device.tensor(Array.from({ length: rows * cols }, random), [rows, cols], dtype)
  const trained = (compute: Tensor) => ({ weight: compute, compute, gradient: device.zeros(compute.shape) })

  const [x, w, dY] = [draw(N, K), draw(24, K), draw(N, 24)]
  const a = trained(draw(layers.length * rank, K))
  const adapters = layers.map(({ column, outputs }) => ({ column, b: trained(draw(outputs, rank)) }))
  const tape = new TapeCore(new Workspace(device))
  const input = tape.input(x, { needsGradient: true })
  const base = linear(tape, input, { weight: w, compute: w, gradient: null })
  const y = addAdapters(tape, input, base, { a, rank, scale, adapters })
  const output = await read(y.value)
  tape.giveGradient(y, new Held(dY, null))
  tape.backward()

  const [xs, ds, as] = [await read(x), await read(dY), await read(a.compute)]
  const merged = (await read(w)).map((row) => [...row])
  const factors = await Promise.all(
    adapters.map(async ({ b, column }, i) => {
      const [ofA, ofB] = [as.slice(i * rank, (i + 1) * rank), await read(b.compute)]
      scaled(product(ofB, ofA), scale).forEach((row, r) => {
        merged[column + r] = (merged[column + r] as number[]).map((v, k) => v + (row[k] as number))
      })
      return { ofA, ofB }
    }),
  )
  const dW = product(transpose(ds), xs)
  const check = (name: string, got: Matrix, expected: Matrix) =>
    expect(relativeRms(got.flat(), expected.flat()), `${name}, seed ${seed}`).toBeLessThan(
      dtype === 'f32' ? 1e-6 : 1e-2,
    )
  check('y', output, product(xs, transpose(merged)))
  check('dX', await read(input.gradient?.tensor ?? x), product(ds, merged))
  const dA = await read(a.gradient)
  for (const [i, { ofA, ofB }] of factors.entries()) {
    const { column, b } = adapters[i] as (typeof adapters)[number]
    const own = dW.slice(column, column + ofB.length)
    check(`dA ${i}`, dA.slice(i * rank, (i + 1) * rank), scaled(product(transpose(ofB), own), scale))
    check(`dB ${i}`, await read(b.gradient), scaled(product(own, transpose(ofA)), scale))
  }
  device.dispose()
})
