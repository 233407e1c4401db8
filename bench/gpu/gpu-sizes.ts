import type { WeightDType } from '../../src/nn/weight-data.ts'
import type { CaseShape } from './attention-case.ts'

type DenseSize = Pick<CaseShape, 'batch' | 'numHeads' | 'headDim'> & { readonly tokens: number }

export interface GpuSizes {
  readonly dense: readonly DenseSize[]
  readonly window: DenseSize & { readonly window: number }
  readonly decode: {
    readonly keys: number
    readonly numHeads: number
    readonly numKvHeads: number
    readonly headDim: number
    readonly copyBytes: number
  }
  readonly matmul: number
  readonly linear: {
    readonly shapes: readonly { readonly K: number; readonly M: number }[]
    readonly dtypes: readonly WeightDType[]
    readonly rows: readonly number[]
    /** bytes of weights that a round reads, more than caches hold */
    readonly poolBytes: number
  }
  readonly blockMapTokens: number
  readonly lengthChange: readonly number[]
}

/** The sizes that issue 2 sets bars for. */
export const fullSizes: GpuSizes = {
  dense: [
    { batch: 2, numHeads: 16, tokens: 8192, headDim: 128 },
    { batch: 2, numHeads: 16, tokens: 8192, headDim: 64 },
  ],
  window: { batch: 1, numHeads: 16, tokens: 32_768, headDim: 128, window: 1024 },
  decode: { keys: 131_072, numHeads: 32, numKvHeads: 8, headDim: 128, copyBytes: 2 ** 29 },
  matmul: 4096,
  linear: {
    shapes: [
      { K: 2048, M: 2048 },
      { K: 2048, M: 8192 },
      { K: 8192, M: 2048 },
      { K: 2048, M: 128_256 },
    ],
    dtypes: ['f16', 'q8_0', 'q4_0'],
    rows: [1, 8, 512],
    poolBytes: 2 ** 28,
  },
  blockMapTokens: 131_072,
  lengthChange: [1024, 1337, 2048, 3000, 64],
}

/** Sizes that a software GPU runs in seconds: for testing the benchmark, not the device. */
export const quickSizes: GpuSizes = {
  dense: [
    { batch: 2, numHeads: 2, tokens: 160, headDim: 128 },
    { batch: 2, numHeads: 2, tokens: 160, headDim: 64 },
  ],
  window: { batch: 1, numHeads: 2, tokens: 320, headDim: 128, window: 64 },
  decode: { keys: 1024, numHeads: 8, numKvHeads: 2, headDim: 128, copyBytes: 2 ** 20 },
  matmul: 128,
  linear: { shapes: [{ K: 256, M: 192 }], dtypes: ['f16', 'q8_0'], rows: [1, 8, 40], poolBytes: 2 ** 17 },
  blockMapTokens: 131_072,
  lengthChange: [128, 100, 65],
}
