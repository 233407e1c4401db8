import { keptProgram } from '../attention/paged/kept-program.ts'
import { isQuantised, layoutKey, type PagePool, poolTensors, storedKeyDim } from '../attention/paged/page-pool.ts'
import { commonAlignment } from '../attention/softmax/flash.ts'
import type { Device, Tensor } from '../device/index.ts'
import type { RopeLayout } from '../nn/rope-tables.ts'
import { alignmentOf, checkFields, type FieldsOf, FoveaError, type Kernel } from '../tile/index.ts'
import { type LatentProgramSpec, type LatentSide, latentProgram } from './write-latent-program.ts'

export interface WriteLatentOptions {
  /** of each token: the latent [r], then the key that all heads share [d], before norm and rope */
  readonly compressed: Tensor // [N, r + d], f32, f16 or bf16
  /** the part of each head's query that turns */
  readonly rotary: Tensor // [N, H, d], f32, f16 or bf16
  readonly positions: Tensor // i32 [N]
  /** page · pageSize + place in it, for each token; −1: it is dropped */
  readonly slots: Tensor // i32 [N]
  /** quantised pools with recent tokens: `recentSlots` */
  readonly recentSlots?: Tensor // i32 [N]
  /** as in `writePages`; null: nothing is turned */
  readonly rope: { readonly tables: RopeLayout & { readonly table: Tensor }; readonly interleaved: boolean } | null
  /** of the latent: y = x / √(mean x² + eps) · (offset + weight); null for none */
  readonly norm: { readonly eps: number; readonly offset: number; readonly weight: Tensor } | null // f32 [r]
  /** with `latent`, of one head of width r + d with values of width r */
  readonly pages: PagePool
  /** its last d columns are written: f32, f16 or bf16 */
  readonly query: Tensor // [N, H, r + d]
}

/**
 * What `writePages` is to ordinary heads, for latent attention (DeepSeek-V2, 2024, arXiv 2405.04434, equations 9 to 15): the
 * latent is normalised and stored as value, the shared key turned and stored as key, the turning part of each query turned
 * into the last columns of `query`, whose others are the queries as they meet the latent. Computed in f32. One kernel, or
 * several where the device binds fewer buffers than it has; nothing is allocated.
 *
 * Throws `shape`, `dtype`, `limit` (more segments than any kernel can bind) and what `Device.run` throws.
 */
export function writeLatent(device: Device, options: WriteLatentOptions): void {
  checkFields('writeLatent', 'options', options, fields)
  const { compressed, rotary, positions, slots, rope, norm, pages, query } = options
  checkShapes(options)
  const [N = 0, H = 0] = query.shape
  if (N === 0) return
  const tileN = Math.min(device.kind === 'webgpu' ? 16 : 8, 2 ** Math.ceil(Math.log2(N)))
  for (const sides of groupSides(device, options)) {
    const heads = sides.reduce((sum, side) => sum + (side === 'query' ? H : 1), 0)
    const pool = commonAlignment([...pages.keys, ...pages.values, ...(pages.recent ? [pages.recent] : [])])
    const spec: LatentProgramSpec = {
      ...{ sides, layout: pages, numHeads: H, tileN },
      rope: rope && {
        layout: { pairs: rope.tables.pairs, step: rope.tables.step, rows: rope.tables.rows },
        interleaved: rope.interleaved,
      },
      norm: norm && { eps: norm.eps, offset: norm.offset },
      dtypes: { compressed: compressed.dtype, rotary: rotary.dtype, query: query.dtype },
      alignment: {
        ...{ compressed: alignmentOf(compressed), rotary: alignmentOf(rotary), query: alignmentOf(query), pool },
      },
    }
    // a GPU has programs to spare, a CPU would only start them
    const headsEach = device.kind === 'webgpu' ? 1 : heads
    const { layout, ...rest } = spec
    const key = `write latent ${layoutKey(layout)} ${JSON.stringify(rest)}`
    const kernel: Kernel = {
      program: keptProgram(device, key, () => latentProgram(spec)),
      grid: [Math.ceil(N / tileN), Math.ceil(heads / headsEach), 1],
      scalars: { headsEach },
    }
    const tensors: Record<string, Tensor | undefined> = {
      ...{ compressed, rotary, positions, slots, query, table: rope?.tables.table, norm: norm?.weight },
      ...poolTensors(pages),
      recentSlots: options.recentSlots,
    }
    const bound = kernel.program.params.map(({ name }) => [name, tensors[name]] as const)
    device.run(kernel, Object.fromEntries(bound.filter((entry): entry is [string, Tensor] => !!entry[1])))
  }
}

/** Which sides one kernel handles, so that none binds more buffers than the device allows. */
function groupSides(device: Device, { rope, norm, pages }: WriteLatentOptions): readonly LatentSide[][] {
  const most = device.info.limits.maxStorageBuffersPerShaderStage ?? Number.POSITIVE_INFINITY
  const buffers = (sides: readonly LatentSide[]) => {
    const [query, key, value] = (['query', 'key', 'value'] as const).map((side) => sides.includes(side))
    const scales = isQuantised(pages.format) ? pages.segments : 0
    const pool = (key ? pages.segments : 0) + (value ? pages.segments : 0) + scales + (pages.recent ? 2 : 0)
    const turns = rope && (query || key) ? 2 : 0
    return turns + (query ? 2 : 0) + (key || value ? pool + 2 : 0) + (norm && value ? 1 : 0)
  }
  const groupings: readonly LatentSide[][][] = [
    [['query', 'key', 'value']],
    [['query', 'key'], ['value']],
    [['query'], ['key'], ['value']],
  ]
  const fitting = groupings.find((groups) => groups.every((sides) => buffers(sides) <= most))
  if (fitting) return fitting
  throw new FoveaError(
    'limit',
    'writeLatent',
    `keys in ${pages.segments} segments take ${buffers(['key'])} buffers, this device binds ${most}`,
  )
}

function checkShapes(options: WriteLatentOptions): void {
  const { compressed, rotary, positions, slots, recentSlots, rope, norm, pages, query } = options
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string): never => {
    const given = { compressed, rotary, positions, slots, query, norm: norm?.weight, key: pages.keys[0] }
    const shown = Object.entries(given).flatMap(([name, tensor]) =>
      tensor ? [`${name} ${tensor.dtype} [${tensor.shape.join(', ')}]`] : [],
    )
    throw new FoveaError(code, 'writeLatent', `${what}, got ${shown.join(', ')}`)
  }
  const [N = 0, H = 0] = query.shape
  const { headDim, valueDim } = pages
  const keyDim = storedKeyDim(pages)
  if (!pages.latent || pages.numKvHeads !== 1) fail('argument', 'pages must be latent, of one head')
  if (query.shape.join() !== `${N},${H},${headDim}`) fail('shape', `query must be [N, H, ${headDim}]`)
  if (compressed.shape.join() !== `${N},${headDim}`) fail('shape', `compressed must be [${N}, ${headDim}]`)
  if (rotary.shape.join() !== `${N},${H},${keyDim}`) fail('shape', `rotary must be [${N}, ${H}, ${keyDim}]`)
  if (positions.shape.join() !== `${N}` || slots.shape.join() !== `${N}`)
    fail('shape', `positions and slots must be [${N}]`)
  if (pages.recent && recentSlots?.shape.join() !== `${N}`) fail('shape', `recentSlots must be [${N}]`)
  if (positions.dtype !== 'i32' || slots.dtype !== 'i32') fail('dtype', 'positions and slots must be i32')
  for (const { dtype } of [compressed, rotary, query])
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16')
      fail('dtype', 'compressed, rotary and query are f32, f16 or bf16')
  if (norm && (norm.weight.dtype !== 'f32' || norm.weight.shape.join() !== `${valueDim}`))
    fail('shape', `the weight of the norm must be f32 [${valueDim}]`)
  if (rope && 2 * rope.tables.pairs > keyDim)
    fail('shape', `${2 * rope.tables.pairs} elements cannot turn in keys of ${keyDim}`)
}

const fields: FieldsOf<WriteLatentOptions> = {
  compressed: true,
  rotary: true,
  positions: true,
  slots: true,
  recentSlots: true,
  rope: true,
  norm: true,
  pages: true,
  query: true,
}
