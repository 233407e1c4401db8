import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type Program } from '../../tile/index.ts'
import { linearBytes, placeLinear, type WeightBlock } from '../place-linear.ts'
import { type MatrixData, rowBytes, type WeightDType } from '../weight-data.ts'
import { paddedFeatures, panelWidth, type WeightLayout } from '../weights/placed-format.ts'
import type { ProgramStore } from '../weights/program-store.ts'

export interface PlaceExpertsOptions {
  /** for messages */
  readonly name: string
  /** of each expert its matrices, whose rows are concatenated: [gate, up], or one; all experts' are alike */
  readonly experts: readonly (readonly MatrixData[])[]
  /** [rows of all matrices of all experts] */
  readonly bias?: Float32Array | null
  /** how it lies in memory; the device's own by default */
  readonly layout?: WeightLayout
  /** most bytes of one buffer, where it lies in rows; what the device binds by default */
  readonly maxBindingBytes?: number
}

/** Experts from … to−1 of a weight, in buffers of their own. */
export interface ExpertBlock {
  readonly from: number
  readonly to: number
  readonly planes: WeightBlock['planes']
  readonly bias: Tensor | null
}

/** The matrices of experts on a device as one weight, quantised as they were. Made by `placeExperts`. */
export interface ExpertWeight {
  readonly name: string
  readonly device: Device
  readonly dtype: WeightDType
  readonly layout: WeightLayout
  readonly experts: number
  /** of one expert, all of its matrices */
  readonly outFeatures: number
  readonly inFeatures: number
  /** rows of each matrix of an expert */
  readonly parts: readonly number[]
  /** panels (or rows) of an expert in a plane */
  readonly stride: number
  readonly blocks: readonly ExpertBlock[]
  /** bytes of device memory: what `expertBytes` says */
  readonly byteLength: number
  readonly disposed: boolean
  readonly programs: ProgramStore<Program>
  dispose(): void
}

/**
 * Puts the matrices of experts on a device as one weight, in as many buffers of whole experts as the device binds: as
 * `placeLinear` puts those of a layer.
 *
 * Throws `argument` (no experts), `shape` (experts that differ), and what `placeLinear` throws.
 */
export function placeExperts(device: Device, options: PlaceExpertsOptions): ExpertWeight {
  checkFields('placeExperts', 'options', options, fields)
  const { name, experts, ...rest } = options
  const [first] = experts
  if (!first?.length)
    throw new FoveaError('argument', 'placeExperts', `${name}: at least one expert with a matrix is needed`)
  const describe = (matrices: readonly MatrixData[]) =>
    matrices.map(({ dtype, rows, cols }) => `${dtype} [${rows}, ${cols}]`).join(', ')
  for (const [e, matrices] of experts.entries())
    if (describe(matrices) !== describe(first))
      throw new FoveaError(
        'shape',
        'placeExperts',
        `${name}: experts must be alike, got ${describe(first)} and, for number ${e}, ${describe(matrices)}`,
      )
  const parts = first.map(({ rows }) => rows)
  const features = parts.reduce((sum, rows) => sum + rows, 0)
  const weight = placeLinear(device, { ...rest, name, parts: experts.flat(), together: features })
  const blocks = weight.whole ? [weight.whole] : weight.blocks
  const { dtype, layout, inFeatures } = weight
  return {
    name,
    device,
    dtype,
    layout,
    experts: experts.length,
    outFeatures: features,
    inFeatures,
    parts,
    stride: layout === 'panels' ? paddedFeatures(layout, parts) / panelWidth : features,
    blocks: blocks.map(({ from, to, planes, bias }) => ({ from: from / features, to: to / features, planes, bias })),
    byteLength: weight.byteLength,
    get disposed() {
      return weight.disposed
    },
    programs: weight.programs,
    dispose: () => weight.dispose(),
  }
}

/**
 * Bytes of device memory that `placeExperts` takes for so many experts with matrices of `partRows` rows. Throws `shape` for
 * widths that are no whole blocks.
 */
export function expertBytes(
  dtype: WeightDType,
  experts: number,
  partRows: readonly number[],
  inFeatures: number,
  kind: Device['kind'],
  options: { readonly bias?: boolean; readonly maxBindingBytes?: number } = {},
): number {
  checkFields('expertBytes', 'options', options, bytesFields)
  const all = Array.from({ length: experts }, () => partRows).flat()
  return linearBytes(dtype, all, inFeatures, kind, {
    ...options,
    together: partRows.reduce((sum, rows) => sum + rows, 0),
  })
}

/**
 * The matrices of each expert in one fused matrix [experts · rows of all parts, cols] whose rows are expert after expert, and of
 * each the parts in their order: views of its bytes. Throws `shape` for another number of rows.
 */
export function splitExperts(fused: MatrixData, experts: number, partRows: readonly number[]): MatrixData[][] {
  const features = partRows.reduce((sum, rows) => sum + rows, 0)
  const { dtype, rows, cols, bytes } = fused
  if (rows !== experts * features)
    throw new FoveaError(
      'shape',
      'splitExperts',
      `${experts} experts of ${partRows.join(' + ')} rows are ${experts * features} rows, got ${dtype} [${rows}, ${cols}]`,
    )
  const width = rowBytes('splitExperts', dtype, cols)
  let at = 0
  return Array.from({ length: experts }, () =>
    partRows.map((count) => {
      at += count
      return { dtype, rows: count, cols, bytes: bytes.subarray((at - count) * width, at * width) }
    }),
  )
}

const bytesFields: FieldsOf<NonNullable<Parameters<typeof expertBytes>[5]>> = { bias: true, maxBindingBytes: true }

const fields: FieldsOf<PlaceExpertsOptions> = {
  name: true,
  experts: true,
  bias: true,
  layout: true,
  maxBindingBytes: true,
}
