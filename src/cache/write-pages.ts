import { keptProgram } from '../attention/paged/kept-program.ts'
import { isQuantised, layoutKey, type PagePool, poolTensors } from '../attention/paged/page-pool.ts'
import { commonAlignment } from '../attention/softmax/flash.ts'
import type { Device, Tensor } from '../device/index.ts'
import type { RopeLayout } from '../nn/rope-tables.ts'
import { alignmentOf, checkChoice, checkFields, type FieldsOf, FoveaError, type Kernel } from '../tile/index.ts'
import { writePagesProgram } from './write-pages-program.ts'
import {
  type Projected,
  projectedWidth,
  type WriteChanges,
  type WriteNorm,
  type WriteProgramSpec,
  type WriteSide,
} from './write-pages-spec.ts'

export interface WritePagesOptions {
  /** queries, keys and values of each token: H and G heads of width D, G of width Dv */
  readonly qkv: Tensor // [N, (H + G)·D + G·Dv], of queriesAndKeys [N, (H + G)·D], of queries [N, H·D]; f32, f16 or bf16
  /** which of them qkv has ('all') */
  readonly projected?: Projected
  readonly positions: Tensor // i32 [N]
  /** page · pageSize + place in it, for each token; −1: its key and value are dropped */
  readonly slots: Tensor // i32 [N]
  /** quantised pools with recent tokens: `recentSlots` */
  readonly recentSlots?: Tensor // i32 [N]
  /** `ropeTables`, with its data as a tensor f32 [rows, 2 · pairs]; null: nothing is turned */
  readonly rope: { readonly tables: RopeLayout & { readonly table: Tensor }; readonly interleaved: boolean } | null
  readonly queryNorm?: (WriteNorm & { readonly weight: Tensor }) | null // [D], with weights for each head [H·D]
  readonly keyNorm?: (WriteNorm & { readonly weight: Tensor }) | null // [D], with weights for each head [G·D]
  /** clipping, a norm of values, a temperature of queries; none by default */
  readonly changes?: WriteChanges
  readonly pages: PagePool
  readonly query: Tensor // [N, H, D], written: f32, f16 or bf16
}

/**
 * What lies between the projection of a step's tokens and attention over pages: queries and keys are normalised where asked
 * (y = x / √(mean x² + eps) · (offset + weight), of each head or of all as one row) and turned to their positions
 * (Su et al., RoFormer, 2021, arXiv 2104.09864), keys and values are stored in their slots, queries in `query`. Computed in
 * f32; `changes` names what else few models do. One kernel, or several where the device binds fewer buffers than it has; nothing is allocated.
 *
 * Throws `shape`, `dtype`, `limit` (more segments than any kernel can bind) and what `Device.run` throws.
 */
export function writePages(device: Device, options: WritePagesOptions): void {
  checkFields('writePages', 'options', options, fields)
  const { qkv, positions, slots, rope, queryNorm = null, keyNorm = null, changes = {}, pages, query } = options
  const { projected = 'all' } = options
  checkChoice('writePages', 'projected', projected, ['all', 'queriesAndKeys', 'queries'])
  checkShapes(options)
  const [N = 0, H = 0] = query.shape
  const G = pages.numKvHeads
  if (N === 0) return
  const tileN = Math.min(device.kind === 'webgpu' ? 16 : 8, 2 ** Math.ceil(Math.log2(N)))
  for (const sides of groupSides(device, options)) {
    const heads = sides.reduce((sum, side) => sum + (side === 'query' ? H : G), 0)
    const pool = commonAlignment([...pages.keys, ...pages.values, ...(pages.recent ? [pages.recent] : [])])
    const spec: WriteProgramSpec = {
      ...{ sides, projected, layout: pages, numHeads: H, numKvHeads: G, tileN, queryNorm, keyNorm, changes },
      rope: rope && { layout: layoutOf(rope.tables), interleaved: rope.interleaved },
      qkvDType: qkv.dtype,
      queryDType: query.dtype,
      normDType: (queryNorm ?? keyNorm)?.weight.dtype ?? 'f32',
      alignment: { qkv: alignmentOf(qkv), query: alignmentOf(query), pool },
    }
    // a GPU has programs to spare, a CPU would only start them
    const headsEach = device.kind === 'webgpu' ? 1 : heads
    const kernel: Kernel = {
      program: keptProgram(device, programKey(spec), () => writePagesProgram(spec)),
      grid: [Math.ceil(N / tileN), Math.ceil(heads / headsEach), 1],
      scalars: { headsEach },
    }
    const bound = new Set(kernel.program.params.map(({ name }) => name))
    const tensors: Record<string, Tensor | undefined> = {
      ...{ qkv, positions, slots, query, table: rope?.tables.table },
      ...{ queryNorm: queryNorm?.weight, keyNorm: keyNorm?.weight },
      ...poolTensors(pages),
      recentSlots: options.recentSlots,
    }
    const used = Object.entries(tensors).filter((entry): entry is [string, Tensor] => bound.has(entry[0]) && !!entry[1])
    device.run(kernel, Object.fromEntries(used))
  }
}

/** Which sides one kernel handles, so that none binds more buffers than the device allows. */
function groupSides(
  device: Device,
  { rope, queryNorm, keyNorm, changes = {}, pages, projected }: WritePagesOptions,
): readonly WriteSide[][] {
  const most = device.info.limits.maxStorageBuffersPerShaderStage ?? Number.POSITIVE_INFINITY
  const buffers = (sides: readonly WriteSide[]) => {
    const [query, key, value] = (['query', 'key', 'value'] as const).map((side) => sides.includes(side))
    const scales = isQuantised(pages.format) ? pages.segments : 0
    const pool = (key ? pages.segments : 0) + (value ? pages.segments : 0) + scales + (pages.recent ? 2 : 0)
    const turns = rope && (query || key) ? 2 : changes.temperature && query ? 1 : 0
    const norms = (queryNorm && query ? 1 : 0) + (keyNorm && key ? 1 : 0)
    return 1 + turns + norms + (key || value ? pool + 1 : 0) + (query ? 1 : 0)
  }
  if (projected === 'queries') return [['query']]
  const groupings: readonly WriteSide[][][] = [
    [['query', 'key', 'value']],
    [['query', 'key'], ['value']],
    [['query'], ['key'], ['value']],
  ]
  const fitting = groupings.find((groups) => groups.every((sides) => buffers(sides) <= most))
  if (!fitting)
    throw new FoveaError(
      'limit',
      'writePages',
      `keys in ${pages.segments} segments take ${buffers(['key'])} buffers, this device binds ${most}`,
    )
  return fitting
}

function programKey({ layout, rope, queryNorm, keyNorm, ...rest }: WriteProgramSpec): string {
  const norms = [queryNorm, keyNorm].map(
    (norm) => norm && [norm.kind ?? 'rms', norm.eps, norm.offset, norm.over, norm.afterRope ?? false],
  )
  return `write ${layoutKey(layout)} ${JSON.stringify([rope, norms, rest])}`
}

function layoutOf({ pairs, step, rows }: RopeLayout): RopeLayout {
  return { pairs, step, rows }
}

function checkShapes(options: WritePagesOptions): void {
  const { qkv, positions, slots, recentSlots, rope, queryNorm, keyNorm, pages, query, projected = 'all' } = options
  const show = () =>
    Object.entries({ qkv, positions, slots, query, key: pages.keys[0] as Tensor })
      .map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`)
      .join(', ')
  const fail = (code: 'shape' | 'dtype' | 'unsupported', what: string): never => {
    throw new FoveaError(code, 'writePages', `${what}, got ${show()}`)
  }
  if (pages.latent) fail('shape', 'latent pages are written by writeLatent')
  const [N = 0, H = 0, D = 0] = query.shape
  const G = pages.numKvHeads
  if (query.shape.length !== 3 || D !== pages.headDim) fail('shape', `query must be [N, H, ${pages.headDim}]`)
  const { valueDim } = pages
  const width = projectedWidth(projected, { numHeads: H, numKvHeads: G, headDim: D, valueDim })
  if (projected === 'queriesAndKeys' && valueDim !== D)
    fail('shape', `keys of ${D} cannot serve as values of ${valueDim}`)
  if (qkv.shape.join() !== `${N},${width}`)
    fail('shape', `qkv must be [${N}, ${width}] for ${H} + ${G} heads of ${D} and ${G} of ${valueDim}, ${projected}`)
  if (positions.shape.join() !== `${N}` || slots.shape.join() !== `${N}`)
    fail('shape', `positions and slots must be [${N}]`)
  if (pages.recent && recentSlots?.shape.join() !== `${N}`) fail('shape', `recentSlots must be [${N}]`)
  if (positions.dtype !== 'i32' || slots.dtype !== 'i32') fail('dtype', 'positions and slots must be i32')
  for (const { dtype } of [qkv, query])
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16') fail('dtype', 'qkv and query are f32, f16 or bf16')
  if (rope && 2 * rope.tables.pairs > D) fail('shape', `${2 * rope.tables.pairs} elements cannot turn in heads of ${D}`)
  if (rope && rope.tables.table.shape.join() !== [rope.tables.rows, 2 * rope.tables.pairs].join())
    fail('shape', `the rope table must be [${rope.tables.rows}, ${2 * rope.tables.pairs}]`)
  for (const [name, norm, heads] of [
    ['queryNorm', queryNorm, H],
    ['keyNorm', keyNorm, G],
  ] as const) {
    const size = norm && norm.over !== 'head' ? heads * D : D
    if (norm && norm.weight.shape.join() !== `${size}`) fail('shape', `the weight of ${name} must be [${size}]`)
    if (norm?.kind === 'layer' && (norm.over === 'all' || norm.afterRope))
      fail('unsupported', `${name} is a layer norm, which goes over single heads before rope`)
  }
  if (queryNorm && keyNorm && queryNorm.weight.dtype !== keyNorm.weight.dtype)
    fail('dtype', 'the weights of both norms must have one dtype')
}

const fields: FieldsOf<WritePagesOptions> = {
  qkv: true,
  positions: true,
  slots: true,
  recentSlots: true,
  rope: true,
  queryNorm: true,
  keyNorm: true,
  changes: true,
  pages: true,
  query: true,
  projected: true,
}
