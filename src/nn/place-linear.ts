import type { Device, Tensor } from '../device/device.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError, type Program } from '../tile/index.ts'
import { type MatrixData, rowBytes, type WeightDType, weightBlock } from './weight-data.ts'
import { layoutOf, type PlaneName, panelWidth, placedFormats, type WeightLayout } from './weights/placed-format.ts'
import { planBlocks } from './weights/plan-blocks.ts'
import { ProgramStore } from './weights/program-store.ts'
import { type PlacedRows, writePlanes } from './weights/write-planes.ts'

export interface PlaceLinearOptions {
  /** matrices whose rows are concatenated: [q, k, v], [gate, up], or one; all of one dtype and width */
  readonly parts: readonly MatrixData[]
  /** [rows of all parts] */
  readonly bias?: Float32Array | null
  /** for messages */
  readonly name: string
  /** how it lies in memory; the device's own by default */
  readonly layout?: WeightLayout
  /** most bytes of one buffer, where it lies in rows; what the device binds by default */
  readonly maxBindingBytes?: number
  /** output features that lie in one buffer; what fits by default */
  readonly together?: number
}

/** A run of a weight's output features that one kernel multiplies by. */
export interface WeightBlock {
  readonly from: number
  readonly to: number
  /** `panels`: [panel, entry, 32]; `rows`: [feature, entry] */
  readonly planes: Readonly<Partial<Record<PlaneName, Tensor>>>
  readonly bias: Tensor | null // [to − from]
}

/** The weight of a linear layer on a device, quantised as it was in its file. Made by `placeLinear`. */
export interface LinearWeight {
  readonly name: string
  readonly device: Device
  readonly dtype: WeightDType
  readonly layout: WeightLayout
  readonly outFeatures: number
  readonly inFeatures: number
  /** output features of each part */
  readonly parts: readonly { readonly from: number; readonly to: number }[]
  readonly blocks: readonly WeightBlock[]
  /** all of the weight as one block, null when it is spread over several buffers */
  readonly whole: WeightBlock | null
  /** bytes of device memory: what `linearBytes` says */
  readonly byteLength: number
  readonly disposed: boolean
  /** the programs made for this weight, kept for the next call */
  readonly programs: ProgramStore<Program>
  dispose(): void
}

/**
 * Puts a weight [rows, cols] = [output features, input features] on a device in the layout that its kernels read best: on
 * WebGPU rows, elsewhere panels of 32 output features. Quantised blocks stay quantised, their scales in planes of their own;
 * no more than a few MiB are held twice. Parts of different dtypes are refused (place them as several weights).
 *
 * Throws `argument` (no parts), `dtype` (mixed), `shape` (widths that differ, rows that are no whole blocks, bytes or a bias
 * of the wrong length), and what `device.empty` throws.
 */
export function placeLinear(device: Device, options: PlaceLinearOptions): LinearWeight {
  checkFields('placeLinear', 'options', options, placeLinearFields)
  const { parts, bias = null, name } = options
  checkParts(options)
  if (options.layout !== undefined) checkChoice('placeLinear', 'layout', options.layout, ['panels', 'rows'])
  const [{ dtype, cols }] = parts as readonly [MatrixData]
  const layout = options.layout ?? layoutOf(device.kind)
  const partRows = parts.map(({ rows }) => rows)
  const plan = planBlocks(
    layout,
    dtype,
    partRows,
    cols,
    options.maxBindingBytes ?? device.info.limits.maxStorageBufferBindingSize,
    options.together,
  )
  const owned: Tensor[] = []
  const views: Tensor[] = []
  const blocks: WeightBlock[] = []
  let whole: WeightBlock | null = null
  try {
    const biasTensor = bias && device.tensor(bias, [bias.length])
    if (biasTensor) owned.push(biasTensor)
    for (const { features, runs } of plan.buffers) {
      const planes: Partial<Record<PlaneName, Tensor>> = {}
      for (const { name: plane, dtype: stored, length } of placedFormats[dtype].planes) {
        const shape = layout === 'panels' ? [features / panelWidth, length(cols), panelWidth] : [features, length(cols)]
        const tensor = device.empty(shape, stored)
        planes[plane] = tensor
        owned.push(tensor)
      }
      writePlanes(planes, layout, features, placedRows(parts, runs))
      if (plan.buffers.length === 1) whole = { from: 0, to: plan.outFeatures, planes, bias: biasTensor }
      for (const { from, to, at } of runs) {
        const biasView = biasTensor?.slice(0, from, to) ?? null
        if (biasView) views.push(biasView)
        const views_ =
          runs.length === 1 ? planes : panelViews(planes, at / panelWidth, Math.ceil((at + to - from) / panelWidth))
        if (runs.length > 1) views.push(...Object.values(views_))
        blocks.push({ from, to, planes: views_, bias: biasView })
      }
    }
  } catch (error) {
    for (const tensor of [...views, ...owned]) tensor.dispose()
    throw error
  }
  let [disposed, end] = [false, 0]
  return {
    name,
    device,
    dtype,
    layout,
    outFeatures: plan.outFeatures,
    inFeatures: cols,
    parts: partRows.map((rows) => {
      end += rows
      return { from: end - rows, to: end }
    }),
    blocks,
    whole,
    byteLength: plan.bytes(device.kind, bias !== null),
    get disposed() {
      return disposed || device.disposed
    },
    programs: new ProgramStore(),
    dispose() {
      if (disposed) return
      disposed = true
      for (const tensor of [...views, ...owned]) tensor.dispose()
    },
  }
}

/**
 * Bytes of device memory that `placeLinear` takes for a weight on a device of this kind, `outFeatures` in all or of each
 * part. Throws `shape` for widths that are no whole blocks.
 */
export function linearBytes(
  dtype: WeightDType,
  outFeatures: number | readonly number[],
  inFeatures: number,
  kind: Device['kind'],
  options: { readonly bias?: boolean; readonly maxBindingBytes?: number; readonly together?: number } = {},
): number {
  checkFields('linearBytes', 'options', options, linearBytesFields)
  checkChoice('linearBytes', 'dtype', dtype, Object.keys(weightBlock))
  rowBytes('linearBytes', dtype, inFeatures)
  const partRows = typeof outFeatures === 'number' ? [outFeatures] : outFeatures
  return planBlocks(layoutOf(kind), dtype, partRows, inFeatures, options.maxBindingBytes, options.together).bytes(
    kind,
    options.bias ?? false,
  )
}

function checkParts({ parts, bias, name }: PlaceLinearOptions): void {
  const where = 'placeLinear'
  const show = () => parts.map(({ dtype, rows, cols }) => `${dtype} [${rows}, ${cols}]`).join(', ')
  const [first] = parts
  if (!first) throw new FoveaError('argument', where, `${name}: at least one part is needed`)
  if (parts.some(({ dtype }) => dtype !== first.dtype))
    throw new FoveaError('dtype', where, `${name}: parts must be of one dtype, got ${show()}`)
  if (parts.some(({ cols, rows }) => cols !== first.cols || cols === 0 || rows === 0))
    throw new FoveaError('shape', where, `${name}: parts must be of one width and not empty, got ${show()}`)
  checkChoice(where, `the dtype of ${name}`, first.dtype, Object.keys(weightBlock))
  const width = rowBytes(where, first.dtype, first.cols)
  for (const { rows, bytes } of parts)
    if (bytes.byteLength !== rows * width)
      throw new FoveaError('shape', where, `${name}: ${show()}: ${rows * width} bytes needed, got ${bytes.byteLength}`)
  const total = parts.reduce((sum, { rows }) => sum + rows, 0)
  if (bias && bias.length !== total)
    throw new FoveaError('shape', where, `${name}: the bias must be [${total}], got [${bias.length}]`)
}

/** The rows of the parts in the output features of one buffer. */
function placedRows(
  parts: readonly MatrixData[],
  runs: readonly { readonly from: number; readonly to: number; readonly at: number }[],
): PlacedRows[] {
  return runs.flatMap(({ from, to, at }) => {
    const placed: PlacedRows[] = []
    let start = 0
    for (const matrix of parts) {
      const [begin, end] = [Math.max(from, start), Math.min(to, start + matrix.rows)]
      if (end > begin) placed.push({ matrix, from: begin - start, to: end - start, at: at + begin - from })
      start += matrix.rows
    }
    return placed
  })
}

function panelViews(planes: WeightBlock['planes'], from: number, to: number): WeightBlock['planes'] {
  return Object.fromEntries(Object.entries(planes).map(([name, tensor]) => [name, tensor.slice(0, from, to)]))
}

const linearBytesFields: FieldsOf<NonNullable<Parameters<typeof linearBytes>[4]>> = {
  bias: true,
  maxBindingBytes: true,
  together: true,
}

const placeLinearFields: FieldsOf<PlaceLinearOptions> = {
  parts: true,
  bias: true,
  name: true,
  layout: true,
  maxBindingBytes: true,
  together: true,
}
