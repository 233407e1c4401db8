import {
  type HeadWidths,
  isQuantised,
  type PageFormat,
  type PagePool,
  pageDType,
  pageFormats,
  pageWidth,
  recentWidth,
  storedKeyDim,
} from '../attention/paged/page-pool.ts'
import type { Device, Tensor } from '../device/index.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError, type StorageDType, storageBytes } from '../tile/index.ts'

/** What the pools of one layer are made of. */
export interface KvPagesSpec {
  readonly format: PageFormat
  readonly pages: number
  /** tokens of a page */
  readonly pageSize: number
  readonly numKvHeads: number
  readonly headDim: number
  /** width of values (headDim) */
  readonly valueDim?: number
  /** a key is its value followed by headDim − valueDim columns, which alone are stored as key (false) */
  readonly latent?: boolean
  /** quantised formats: rows of the page table; 0 (the default) keeps no token unquantised */
  readonly rows?: number
  /** quantised formats: how many of the newest tokens of a row are kept unquantised as well (64) */
  readonly recentTokens?: number
  /** how they are stored ('f32') */
  readonly recentDType?: 'f32' | 'f16' | 'bf16'
}

/** The keys and values of one layer, in pages. Page p, place t in it: slot p · pageSize + t. */
export interface KvPages extends PagePool {
  /** bytes of all its tensors */
  readonly bytes: number
  dispose(): void
}

/** tensors that `pagedAttention` binds besides those of the pool: query, pageTable, work, output (or two of states) */
const otherBuffers = 4
/** what every WebGPU device can bind at once */
const bindingFloor = 128 * 1024 * 1024

/**
 * Pools for the pages of one layer, zeroed, so that what no token has been written to is finite. Keys and values are tensors
 * [pages, pageSize, G, D] and [pages, pageSize, G, Dv], of latent ones D − Dv for D; a pool larger than the device can bind is cut into segments of whole pages.
 *
 * Throws `argument` for counts that are none and an odd width of q4, `limit` when a page is larger than a binding or the
 * segments are more than a kernel may bind, and what `Device.zeros` throws; then nothing stays allocated.
 */
export function createKvPages(device: Device, spec: KvPagesSpec, options: { maxBindingBytes?: number } = {}): KvPages {
  checkFields('createKvPages', 'spec', spec, kvPagesSpecFields)
  checkFields('createKvPages', 'options', options, createKvPagesFields)
  const { maxBindingBytes = bindingLimit(device) } = options
  const plan = planPools(spec, maxBindingBytes)
  const { pages, pageSize, numKvHeads, format, recentDType = 'f32' } = spec
  const widths = widthsOf(spec)
  const { segments, pagesPerSegment, rows, recentTokens } = plan
  const most = device.info.limits.maxStorageBuffersPerShaderStage ?? Number.POSITIVE_INFINITY
  const buffers = otherBuffers + segments * (isQuantised(format) ? 3 : 2) + (rows > 0 ? 1 : 0)
  if (buffers > most)
    throw new FoveaError(
      'limit',
      'createKvPages',
      `${pages} pages of ${pageSize} tokens in ${format} take ${segments} segments of ${maxBindingBytes} bytes, with which a kernel binds ${buffers} buffers; this device allows ${most}`,
    )
  const made: Tensor[] = []
  const dispose = () => {
    for (const tensor of made) tensor.dispose()
  }
  const zeros = (shape: readonly number[], dtype: StorageDType) => {
    const tensor = device.zeros(shape, dtype)
    made.push(tensor)
    return tensor
  }
  const inSegment = (s: number) => Math.min(pagesPerSegment, pages - s * pagesPerSegment)
  const each = (make: (pages: number) => Tensor) => Array.from({ length: segments }, (_, s) => make(inSegment(s)))
  // the tokens of one head lie side by side: that is how they are read
  const byHead = (shape: readonly number[], dtype: StorageDType) => {
    const tensor = zeros(shape, dtype)
    made.push(tensor.transpose(shape.length - 3, shape.length - 2))
    return made.at(-1) as Tensor
  }
  const pool = (width: number) =>
    each((count) => byHead([count, numKvHeads, pageSize, pageWidth(format, width)], pageDType(format)))
  try {
    return {
      ...{ format, pages, pageSize, numKvHeads, ...widths, segments, pagesPerSegment, recentTokens, recentDType },
      keys: pool(storedKeyDim(widths)),
      values: pool(widths.valueDim),
      scales: isQuantised(format) ? each((count) => zeros([count, 2, numKvHeads, pageSize], 'f32')) : [],
      recent: rows > 0 ? byHead([rows, 2, numKvHeads, recentTokens, recentWidth(widths)], recentDType) : null,
      bytes: plan.bytes,
      dispose,
    }
  } catch (error) {
    dispose()
    throw error
  }
}

/** Bytes that `createKvPages` allocates; a device may round each tensor up to 64. Throws `argument`. */
export function kvPageBytes(spec: KvPagesSpec): number {
  checkFields('kvPageBytes', 'spec', spec, kvPagesSpecFields)
  return planPools(spec, Number.POSITIVE_INFINITY).bytes
}

/** Most bytes of one tensor that kernels can bind on this device. */
export function bindingLimit(device: Device): number {
  const { maxStorageBufferBindingSize, maxBufferSize, maxBytes } = device.info.limits
  if (device.kind === 'webgpu')
    return Math.min(maxStorageBufferBindingSize ?? bindingFloor, maxBufferSize ?? Number.POSITIVE_INFINITY)
  return maxBytes ?? Number.POSITIVE_INFINITY
}

function planPools(spec: KvPagesSpec, maxBindingBytes: number) {
  const { format, pages, pageSize, numKvHeads, recentDType = 'f32' } = spec
  const widths = widthsOf(spec)
  const { headDim, valueDim, latent } = widths
  const keyDim = storedKeyDim(widths)
  checkChoice('createKvPages', 'format', format, pageFormats)
  checkChoice('createKvPages', 'recentDType', recentDType, ['f32', 'f16', 'bf16'])
  const quantised = isQuantised(format)
  const rows = quantised ? (spec.rows ?? 0) : 0
  const recentTokens = rows > 0 ? (spec.recentTokens ?? 64) : 0
  for (const [name, count] of Object.entries({ pages, pageSize, numKvHeads, headDim, valueDim }))
    if (!Number.isInteger(count) || count < 1)
      throw new FoveaError('argument', 'createKvPages', `${name} must be a whole number ≥ 1, got ${count}`)
  for (const [name, count] of Object.entries({ rows, recentTokens }))
    if (!Number.isInteger(count) || count < 0 || (rows > 0 && count === 0))
      throw new FoveaError('argument', 'createKvPages', `${name} must be a whole number ≥ 1, got ${count}`)
  if (latent && keyDim < 1)
    throw new FoveaError(
      'argument',
      'createKvPages',
      `latent keys are wider than their values, got headDim ${headDim}, valueDim ${valueDim}`,
    )
  if (format === 'q4' && (keyDim % 2 !== 0 || valueDim % 2 !== 0))
    throw new FoveaError(
      'argument',
      'createKvPages',
      `q4 takes even widths, got ${keyDim} of keys, ${valueDim} of values`,
    )
  const perPage = pageSize * numKvHeads
  const bytesOf = (width: number) => perPage * pageWidth(format, width) * storageBytes[pageDType(format)]
  const pageBytes = bytesOf(Math.max(keyDim, valueDim))
  const pagesPerSegment = Math.min(pages, Math.floor(maxBindingBytes / pageBytes))
  if (pagesPerSegment < 1)
    throw new FoveaError(
      'limit',
      'createKvPages',
      `a page of ${pageSize} tokens takes ${pageBytes} bytes, a binding holds ${maxBindingBytes}`,
    )
  const scaleBytes = quantised ? pages * 2 * perPage * storageBytes.f32 : 0
  const recentBytes = rows * 2 * recentTokens * numKvHeads * recentWidth(widths) * storageBytes[recentDType]
  return {
    pagesPerSegment,
    segments: Math.ceil(pages / pagesPerSegment),
    rows,
    recentTokens,
    bytes: pages * (bytesOf(keyDim) + bytesOf(valueDim)) + scaleBytes + recentBytes,
  }
}

function widthsOf({ headDim, valueDim = headDim, latent = false }: KvPagesSpec): HeadWidths {
  return { headDim, valueDim, latent }
}

const kvPagesSpecFields: FieldsOf<KvPagesSpec> = {
  format: true,
  pages: true,
  pageSize: true,
  numKvHeads: true,
  headDim: true,
  valueDim: true,
  latent: true,
  rows: true,
  recentTokens: true,
  recentDType: true,
}

const createKvPagesFields: FieldsOf<NonNullable<Parameters<typeof createKvPages>[2]>> = { maxBindingBytes: true }
