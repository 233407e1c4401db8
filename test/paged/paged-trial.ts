import {
  type PageFormat,
  pageDType,
  pageWidth,
  recentWidth,
  storedKeyDim,
} from '../../src/attention/paged/page-pool.ts'
import { pagedAttention } from '../../src/attention/paged/paged-attention.ts'
import { type PagedStates, pagedStateShapes } from '../../src/attention/paged/paged-states.ts'
import type { PagedTiling } from '../../src/attention/paged/paged-tiling.ts'
import { pagedWorkCapacity, planPagedWork } from '../../src/attention/paged/paged-work.ts'
import { createKvPages, type KvPages } from '../../src/cache/kv-pages.ts'
import { writeLatent } from '../../src/cache/write-latent.ts'
import { writePages } from '../../src/cache/write-pages.ts'
import type { Device, Tensor } from '../../src/device/index.ts'
import { roundTo } from '../../src/ir/index.ts'
import { storageBytes } from '../../src/tile/index.ts'
import { guardedOutput } from '../numerics/guarded-output.ts'
import { randomNumbers } from '../numerics/random.ts'

/** A step over pages: what it is made of. */
export interface PagedTrial {
  readonly sequences: readonly { readonly qLength: number; readonly kLength: number }[]
  readonly H: number
  readonly G: number
  readonly D: number
  /** of values (D) */
  readonly Dv?: number
  /** keys begin with their values; G is 1 */
  readonly latent?: boolean
  readonly pageSize: number
  readonly format?: PageFormat
  /** quantised formats: newest tokens kept unquantised (0) */
  readonly recentTokens?: number
  readonly queryDType?: 'f32' | 'f16'
  readonly window?: number
  readonly sinks?: number
  readonly chunk?: number
  readonly softCap?: number
  /** a slope, and a sink logit, for each head */
  readonly alibiSlopes?: readonly number[]
  readonly sinkLogits?: readonly number[]
  readonly splits?: number
  readonly tiling: PagedTiling
  /** forces several segments */
  readonly segments?: number
  /** rows of work beyond what there is to do */
  readonly spare?: number
  readonly seed?: number
  /** what other sequences left in the pages and among the recent tokens, in turn: where the trial writes nothing (finite) */
  readonly stale?: readonly number[]
}

/** A pool filled with the trial's tokens in pages of random order, and what is around a call. */
export interface PagedStep {
  readonly pages: KvPages
  readonly pageTable: Tensor
  readonly query: Tensor
  /** of each sequence, as stored: [kLength, G, D], values of Dv */
  readonly keys: readonly Float64Array[]
  readonly values: readonly Float64Array[]
  readonly queries: Float64Array // [N, H, D]
  /** what was written */
  readonly tokens: readonly { readonly slot: number; readonly position: number; readonly data: Float64Array }[]
}

/** Writes the tokens of a trial through `writePages`; between them lie other sequences' tokens, as in a used cache. */
export async function fillPages(device: Device, trial: PagedTrial): Promise<PagedStep> {
  const { sequences, H, G, D, Dv = D, pageSize, format = 'f32', queryDType = 'f32', segments = 1, seed = 1 } = trial
  const { recentTokens = 0 } = trial
  const random = randomNumbers(seed)
  const pagesOf = sequences.map(({ kLength }) => Math.ceil(kLength / pageSize))
  const total = pagesOf.reduce((sum, n) => sum + n, 0) + 2
  const { latent = false } = trial
  const width = pageWidth(format, recentWidth({ headDim: D, valueDim: Dv, latent }))
  const maxBindingBytes = Math.ceil(total / segments) * pageSize * G * width * storageBytes[pageDType(format)]
  const spec = { format, pages: total, pageSize, numKvHeads: G, headDim: D, valueDim: Dv, latent }
  const recent = recentTokens > 0 ? { rows: sequences.length, recentTokens } : {}
  const pages = createKvPages(device, { ...spec, ...recent }, { maxBindingBytes })
  if (trial.stale) await leaveBehind(device, trial, pages, trial.stale)
  const order = shuffled(total, random)
  const maxPages = Math.max(...pagesOf) + 1
  const table = new Int32Array(sequences.length * maxPages).fill(-1)
  const rowWidth = widthOfRow(trial)
  const tokens: { slot: number; recent: number; position: number; data: Float64Array }[] = []
  const queries: number[] = []
  let next = 0
  sequences.forEach(({ qLength, kLength }, row) => {
    const own = Array.from({ length: pagesOf[row] as number }, () => order[next++] as number)
    table.set(own, row * maxPages)
    for (let t = 0; t < own.length * pageSize; t++) {
      const data = Float64Array.from({ length: rowWidth }, () => Math.fround(random()))
      if (trial.stale && t >= kLength) continue
      const isNewest = t < kLength && t >= kLength - recentTokens
      tokens.push({
        slot: (own[Math.floor(t / pageSize)] as number) * pageSize + (t % pageSize),
        recent: isNewest ? row * recentTokens + (t % recentTokens) : -1,
        position: t,
        data,
      })
      if (t < kLength && t >= kLength - qLength)
        queries.push(...data.subarray(0, H * D).map((x) => roundTo(queryDType, x)))
    }
  })
  const N = tokens.length
  const all = new Float32Array(N * rowWidth)
  for (const [n, { data }] of tokens.entries()) all.set(data, n * rowWidth)
  const integers = (of: (token: (typeof tokens)[number]) => number) => device.tensor(Int32Array.from(tokens, of), [N])
  writeRows(device, trial, pages, all, {
    positions: integers(({ position }) => position),
    slots: integers(({ slot }) => slot),
    recentSlots: integers((token) => token.recent),
  })
  const [stored, values] = await Promise.all([storedSide(trial, pages, table, 0), storedSide(trial, pages, table, 1)])
  const keys = latent ? stored.map((side, s) => joinRows([values[s] as Float64Array, Dv], [side, D - Dv])) : stored
  return {
    ...{ pages, keys, values, tokens, queries: Float64Array.from(queries) },
    pageTable: device.tensor(table, [sequences.length, maxPages]),
    query: device.tensor(Float32Array.from(queries), [queries.length / (H * D), H, D], queryDType),
  }
}

/** Numbers of a token: its queries, keys and values, of latent pages without values. */
function widthOfRow({ H, G, D, Dv = D, latent = false }: PagedTrial): number {
  return (H + G) * D + (latent ? 0 : G * Dv)
}

/** Stores the keys and values of tokens [N, rowWidth]. */
function writeRows(
  device: Device,
  trial: PagedTrial,
  pages: KvPages,
  rows: Float32Array,
  places: { readonly positions: Tensor; readonly slots: Tensor; readonly recentSlots: Tensor },
): void {
  const { H, D, Dv = D } = trial
  const rowWidth = widthOfRow(trial)
  const N = rows.length / rowWidth
  const qkv = device.tensor(rows, [N, rowWidth])
  const common = { ...places, rope: null, pages, query: device.empty([N, H, D]) }
  if (!trial.latent) {
    writePages(device, { ...common, qkv })
    return
  }
  writeLatent(device, {
    ...{ ...common, norm: null, compressed: qkv.slice(1, H * D, (H + 1) * D) },
    rotary: qkv.view({ shape: [N, H, D - Dv], strides: [rowWidth, D, 1], offset: Dv }),
  })
}

/** Fills every slot of a pool, and every recent one, with tokens of other sequences. */
async function leaveBehind(device: Device, trial: PagedTrial, pages: KvPages, stale: readonly number[]): Promise<void> {
  const { sequences, pageSize, recentTokens = 0 } = trial
  const N = Math.max(pages.pages * pageSize, sequences.length * recentTokens)
  const slots = (count: number) =>
    device.tensor(
      Int32Array.from({ length: N }, (_, n) => (n < count ? n : -1)),
      [N],
    )
  // each key and value has all of them, each token begins with another
  const rows = Float32Array.from({ length: N * widthOfRow(trial) }, (_, i) => stale[i % stale.length] as number)
  writeRows(device, trial, pages, rows, {
    positions: slots(N),
    slots: slots(pages.pages * pageSize),
    recentSlots: slots(sequences.length * recentTokens),
  })
  await device.sync()
}

/** Rows of two matrices, side by side. */
function joinRows([a, aWidth]: [Float64Array, number], [b, bWidth]: [Float64Array, number]): Float64Array {
  const joined = new Float64Array(a.length + b.length)
  for (let row = 0; row < a.length / aWidth; row++) {
    joined.set(a.subarray(row * aWidth, (row + 1) * aWidth), row * (aWidth + bWidth))
    joined.set(b.subarray(row * bWidth, (row + 1) * bWidth), row * (aWidth + bWidth) + aWidth)
  }
  return joined
}

/** First of the tokens that are read unquantised, when all of the trial's are written. */
export function recentStart({ recentTokens = 0 }: PagedTrial, kLength: number): number {
  return recentTokens > 0 ? Math.max(0, kLength - recentTokens) : kLength
}

/** Keys (side 0) or values of each sequence [kLength, G, D or Dv] as the pool holds them, read on the host. */
async function storedSide(trial: PagedTrial, pages: KvPages, table: Int32Array, side: 0 | 1): Promise<Float64Array[]> {
  const { sequences, G, pageSize, format = 'f32', recentTokens = 0, tiling } = trial
  const widths = { headDim: trial.D, valueDim: trial.Dv ?? trial.D, latent: trial.latent ?? false }
  const D = side === 0 ? storedKeyDim(widths) : widths.valueDim
  const recentDim = recentWidth(widths)
  const maxPages = table.length / sequences.length
  const pools = await Promise.all((side === 0 ? pages.keys : pages.values).map((tensor) => tensor.read()))
  const scales = await Promise.all(pages.scales.map((tensor) => tensor.read()))
  const recent = await pages.recent?.read()
  return sequences.map(({ kLength }, row) => {
    const from = recentStart(trial, kLength)
    const found = new Float64Array(kLength * G * D)
    for (let t = 0; t < kLength; t++) {
      const page = table[row * maxPages + Math.floor(t / pageSize)] as number
      const [s, inSegment] = [Math.floor(page / pages.pagesPerSegment), page % pages.pagesPerSegment]
      // whole tiles are recent, or not
      const tileStart = pageSize % tiling.tileK === 0 ? t - (t % tiling.tileK) : t
      for (let g = 0; g < G; g++)
        for (let d = 0; d < D; d++) {
          const at = (inSegment * pageSize + (t % pageSize)) * G + g
          const scale = scales[s]?.[((inSegment * 2 + side) * G + g) * pageSize + (t % pageSize)] ?? 1
          const pool = pools[s] as ArrayLike<number>
          let x = 0
          if (recent && tileStart >= from)
            x = recent[(((row * 2 + side) * recentTokens + (t % recentTokens)) * G + g) * recentDim + d] as number
          else if (format === 'q4') {
            const byte = pool[at * (D / 2) + (d % (D / 2))] as number
            x = ((d < D / 2 ? byte & 15 : byte >> 4) - 8) * scale
          } else x = (pool[at * D + d] as number) * scale
          found[(t * G + g) * D + d] = x
        }
    }
    return found
  })
}

/** Runs `pagedAttention` on a filled pool; the output [N, H·Dv] is guarded. */
export async function runPaged(device: Device, trial: PagedTrial, step: PagedStep): Promise<Float32Array> {
  const { sequences, H, G, tiling, splits = 1, spare = 0, window = null, sinks = 0, chunk = null } = trial
  const { Dv = trial.D, softCap = null, alibiSlopes, sinkLogits } = trial
  const tokens = sequences.reduce((sum, { qLength }) => sum + qLength, 0)
  const rowsPerQuery = tiling.packHeads ? H / G : 1
  const shape = { tileQ: tiling.tileQ, rowsPerQuery, splits }
  const capacity = pagedWorkCapacity({ ...shape, tokens, sequences: sequences.length }) + spare
  let qBase = 0
  const placed = sequences.map(({ qLength, kLength }, row) => {
    const sequence = { row, qBase, qLength, kLength, recentFrom: recentStart(trial, kLength) }
    qBase += qLength
    return sequence
  })
  const { work } = planPagedWork({ ...shape, sequences: placed, tileK: tiling.tileK, window, sinks, chunk, capacity })
  const perHead = (values?: readonly number[]) => (values ? device.tensor(Float32Array.from(values), [H]) : null)
  const output = guardedOutput(device, [tokens, H * Dv], 'f32')
  const shapes = pagedStateShapes({ splits, tokens, numHeads: H, valueDim: Dv })
  const scratch = Object.fromEntries(
    Object.entries(shapes).map(([name, s]) => [
      name,
      device.tensor(new Float32Array(s.reduce((x, y) => x * y, 1)).fill(Number.NaN), s),
    ]),
  )
  pagedAttention(device, {
    ...{
      query: step.query,
      pages: step.pages,
      pageTable: step.pageTable,
      tiling,
      splits,
      window,
      sinks,
      softCap,
      chunk,
    },
    alibiSlopes: perHead(alibiSlopes),
    sinkLogits: perHead(sinkLogits),
    work: device.tensor(work, [capacity, work.length / capacity]),
    ...(splits > 1 && { states: scratch as unknown as PagedStates }),
    output: output.tensor,
  })
  return (await output.read()) as Float32Array
}

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(Math.abs(random()) * 0.999999 * (i + 1)) % (i + 1)
    ;[order[i], order[j]] = [order[j] as number, order[i] as number]
  }
  return order
}
