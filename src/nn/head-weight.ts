import type { Device, Tensor } from '../device/device.ts'
import { FoveaError, storageBytes } from '../tile/index.ts'
import { dequantizeRows } from './block-formats/matrix-values.ts'
import { matmul } from './matmul.ts'
import { productTiles } from './matmul-tiles.ts'
import type { MatrixData, WeightDType } from './weight-data.ts'

/** One matrix for each head, [H, d, r], and how their rows are divided in two. Made by `placeHeadWeight`. */
export interface HeadWeight {
  readonly name: string
  readonly numHeads: number
  /** [H, d, r]: rows before and from `split` on */
  readonly first: Tensor
  readonly second: Tensor
  readonly byteLength: number
  dispose(): void
}

/** How a matrix of this dtype lies on the device: floats as they are, quantised rows as f16, since they are summed over. */
function headDType(dtype: WeightDType): 'f32' | 'f16' | 'bf16' {
  return dtype === 'f32' || dtype === 'bf16' ? dtype : 'f16'
}

/** Bytes of device memory that `placeHeadWeight` takes. */
export function headWeightBytes(dtype: WeightDType, rows: number, cols: number): number {
  return rows * cols * storageBytes[headDType(dtype)]
}

/**
 * Puts a matrix [H · d, r] on a device, of whose rows each head has d one after the other, the first `split` of them for one
 * use and the others for another: the up projection of latent attention (DeepSeek-V2, 2024, arXiv 2405.04434).
 *
 * Throws `shape` for rows that are no multiple of the heads, and what `device.tensor` throws.
 */
export function placeHeadWeight(
  device: Device,
  { name, matrix, numHeads, split }: { name: string; matrix: MatrixData; numHeads: number; split: number },
): HeadWeight {
  const { rows, cols, dtype } = matrix
  const each = rows / numHeads
  if (!Number.isInteger(each) || split < 1 || split >= each)
    throw new FoveaError(
      'shape',
      'placeHeadWeight',
      `${name} [${rows}, ${cols}] cannot be ${numHeads} heads of ${split} rows and others`,
    )
  const whole = device.tensor(dequantizeRows(matrix), [numHeads, each, cols], headDType(dtype))
  const [first, second] = [whole.slice(1, 0, split), whole.slice(1, split, each)]
  return {
    ...{ name, numHeads, first, second },
    byteLength: headWeightBytes(dtype, rows, cols),
    dispose() {
      for (const tensor of [first, second, whole]) tensor.dispose()
    },
  }
}

/**
 * output[n, h] = x[n, h] · W_h, over the rows of each head's matrix: x [N, H, d], W [H, d, r], output [N, H, r]. Of queries
 * q_h it makes what meets the latent itself: q_h · (W_h c) = (W_hᵀ q_h) · c.
 */
export function sumHeadRows(device: Device, options: HeadProduct): void {
  headProduct(device, options, false)
}

/** output[n, h] = W_h · x[n, h]: x [N, H, r], W [H, d, r], output [N, H, d]. */
export function headLinear(device: Device, options: HeadProduct): void {
  headProduct(device, options, true)
}

export interface HeadProduct {
  readonly x: Tensor
  readonly weight: Tensor
  readonly output: Tensor
}

function headProduct(device: Device, { x, weight, output }: HeadProduct, transposeB: boolean): void {
  // heads are the batch: neither weights nor tokens are copied
  const [a, c] = [x.transpose(0, 1), output.transpose(0, 1)]
  try {
    const [batch = 1, M = 1, N = 1] = c.shape
    const { kind, info } = device
    const K = x.shape[2] as number
    const dtypes = [x.dtype, weight.dtype]
    const tiles = productTiles({ kind, tier: info.tier, dtypes, batch, M, N, K, transposeA: false })
    // a CPU would multiply the rows that pad a tile
    const tileM = kind === 'webgpu' ? tiles.tileM : Math.min(tiles.tileM, 2 ** Math.ceil(Math.log2(Math.max(1, M))))
    matmul(device, { a, b: weight, output: c, transposeB, tiles: { ...tiles, tileM } })
  } finally {
    for (const view of [a, c]) view.dispose()
  }
}
