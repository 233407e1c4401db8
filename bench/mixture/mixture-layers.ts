import { randomNormal } from '../../src/cli/random-normal.ts'
import type { Device } from '../../src/device/index.ts'
import { dequantizeRows, quantizeMatrix } from '../../src/nn/block-formats/matrix-values.ts'
import { type ExpertWeight, placeExperts } from '../../src/nn/experts/place-experts.ts'
import { type LinearWeight, placeLinear } from '../../src/nn/place-linear.ts'
import type { MatrixData, WeightDType } from '../../src/nn/weight-data.ts'

export interface LayerSize {
  readonly experts: number
  readonly perToken: number
  readonly hidden: number
  readonly inner: number
}

/** distinct rows of a matrix, repeated: as many bytes are read, and they are made in no time */
const distinctRows = 61

/** A matrix whose row r is row (r + `from`) of the pattern, of as many rows as `all` holds from there. */
function rotated({ dtype, cols, bytes }: MatrixData, all: Uint8Array, from: number, rows: number): MatrixData {
  const width = bytes.length / distinctRows
  return { dtype, rows, cols, bytes: all.subarray(from * width, (from + rows) * width) }
}

/** Patterns of the rows that up and down are made of. */
class Pattern {
  readonly values: Float32Array
  readonly cols: number
  readonly #pattern: MatrixData
  readonly #all: Uint8Array

  constructor(cols: number, most: number, dtype: WeightDType, seed: number) {
    const scaled = randomNormal(distinctRows * cols, seed).map((x) => x / Math.sqrt(cols))
    this.cols = cols
    this.#pattern = quantizeMatrix(scaled, distinctRows, cols, dtype)
    this.values = dequantizeRows(this.#pattern)
    const { bytes } = this.#pattern
    this.#all = new Uint8Array((bytes.length / distinctRows) * (most + distinctRows))
    for (let at = 0; at < this.#all.length; at += bytes.length)
      this.#all.set(bytes.subarray(0, this.#all.length - at), at)
  }

  matrix(from: number, rows: number): MatrixData {
    return rotated(this.#pattern, this.#all, from % distinctRows, rows)
  }

  row(from: number, row: number): Float32Array {
    const at = ((from + row) % distinctRows) * this.cols
    return this.values.subarray(at, at + this.cols)
  }
}

/** Layers of one size on a device: as many copies of a mixture, and of a dense layer of what is chosen, as no cache holds. */
export class MixtureLayers {
  readonly device: Device
  readonly size: LayerSize
  readonly halves: boolean
  readonly mixtures: { readonly router: LinearWeight; readonly up: ExpertWeight; readonly down: ExpertWeight }[] = []
  readonly dense: { readonly up: LinearWeight; readonly down: LinearWeight }[] = []
  readonly #patterns: { readonly up: Pattern; readonly down: Pattern }

  constructor(device: Device, size: LayerSize, dtype: WeightDType, poolBytes: number) {
    this.device = device
    this.size = size
    this.halves = device.info.tier !== null && device.info.tier >= 2
    const { experts, perToken, hidden, inner } = size
    const [up, down] = [new Pattern(hidden, perToken * inner, dtype, 1), new Pattern(inner, hidden, dtype, 3)]
    this.#patterns = { up, down }
    const wide = new Pattern(perToken * inner, hidden, dtype, 2)
    do {
      const copy = this.mixtures.length
      const each = Array.from({ length: experts }, (_, e) => e)
      this.mixtures.push({
        router: placeLinear(device, {
          name: 'router',
          parts: [quantizeMatrix(randomNormal(experts * hidden, 5 + copy), experts, hidden, 'f32')],
        }),
        up: placeExperts(device, {
          name: 'up',
          experts: each.map((e) => [up.matrix(e, inner), up.matrix(e + 7, inner)]),
        }),
        down: placeExperts(device, { name: 'down', experts: each.map((e) => [down.matrix(e, hidden)]) }),
      })
    } while (this.mixtures.reduce((sum, { up: u, down: d }) => sum + u.byteLength + d.byteLength, 0) < poolBytes)
    do {
      const parts = [0, 7].map((from) => up.matrix(from, perToken * inner))
      this.dense.push({
        up: placeLinear(device, { name: 'dense up', parts }),
        down: placeLinear(device, { name: 'dense down', parts: [wide.matrix(0, hidden)] }),
      })
    } while (this.dense.reduce((sum, { up: u, down: d }) => sum + u.byteLength + d.byteLength, 0) < poolBytes)
  }

  /** Bytes of one expert. */
  get expertBytes(): number {
    const [{ up, down }] = this.mixtures as [(typeof this.mixtures)[0]]
    return (up.byteLength + down.byteLength) / this.size.experts
  }

  /** float64 outputs 0 … count−1 of a token whose experts are known. */
  expected(x: ArrayLike<number>, chosen: readonly number[], weights: readonly number[], count: number): Float64Array {
    const { inner } = this.size
    const product = (row: Float32Array, values: ArrayLike<number>) => row.reduce((sum, w, k) => sum + w * values[k]!, 0)
    const result = new Float64Array(count)
    for (const [slot, e] of chosen.entries()) {
      const h = Float64Array.from({ length: inner }, (_, i) => {
        const gate = product(this.#patterns.up.row(e, i), x)
        return (gate / (1 + Math.exp(-gate))) * product(this.#patterns.up.row(e + 7, i), x)
      })
      for (let c = 0; c < count; c++) result[c]! += weights[slot]! * product(this.#patterns.down.row(e, c), h)
    }
    return result
  }

  dispose(): void {
    for (const { router, up, down } of this.mixtures) for (const weight of [router, up, down]) weight.dispose()
    for (const { up, down } of this.dense) for (const weight of [up, down]) weight.dispose()
  }
}
