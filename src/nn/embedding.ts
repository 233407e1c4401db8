import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type StorageDType } from '../tile/index.ts'
import type { LinearWeight, WeightBlock } from './place-linear.ts'
import type { WeightDType } from './weight-data.ts'
import { embeddingKernel } from './weights/embedding-program.ts'
import { placedFormats, type WeightLayout } from './weights/placed-format.ts'

export interface EmbedOptions {
  /** the placed weight of the output projection, where they are tied, or a plain table [V, C] */
  readonly table: LinearWeight | Tensor
  readonly ids: Tensor // [N] i32
  /** factor of the table's row (1; Gemma: √C) */
  readonly scale?: number
  readonly positionTable?: Tensor // [P, C] f32, f16 or bf16
  readonly positions?: Tensor // [N] i32
  readonly output: Tensor // [N, C]
}

const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']

/**
 * output[n] = scale · table[ids[n]] + positionTable[positions[n]], dequantised on the way. An id outside the table gives zeros
 * (plus its position's row).
 *
 * Throws `shape`, `dtype`, `argument` (positions without a table, or a table without them), `device`, `disposed`, and what
 * `Device.run` throws.
 */
export function embed(device: Device, options: EmbedOptions): void {
  checkFields('embed', 'options', options, fields)
  const { ids, output, positionTable = null, positions = null } = options
  const source = 'blocks' in options.table ? weightSource(device, options.table) : tensorSource(options.table)
  const { dtype, layout, width, blocks } = source
  check(options, width)
  const { parts } = placedFormats[dtype]
  const byPart = (tensor: Tensor) =>
    tensor.view({
      shape: [tensor.shape[0] as number, parts, width / parts],
      strides: [tensor.strides[0] as number, width / parts, 1],
      offset: tensor.offset,
    })
  const tokens = byPart(output)
  const offsets = positionTable && byPart(positionTable)
  try {
    for (const [at, { from, to, planes }] of blocks.entries()) {
      const kernel = embeddingKernel({
        dtype,
        layout,
        planes,
        output: tokens,
        positionTable: offsets,
        block: blocks.length === 1 ? null : { first: at === 0, from, to, size: blocks.at(-1)?.to ?? 0 },
        scale: options.scale ?? 1,
      })
      device.run(kernel, {
        ids,
        ...planes,
        output: tokens,
        ...(offsets && positions && { positionTable: offsets, positions }),
      })
    }
  } finally {
    tokens.dispose()
    offsets?.dispose()
  }
}

/** Rows to gather from, in one or several blocks. */
interface Source {
  readonly dtype: WeightDType
  readonly layout: WeightLayout
  readonly width: number
  readonly blocks: readonly Pick<WeightBlock, 'from' | 'to' | 'planes'>[]
}

function weightSource(device: Device, weight: LinearWeight): Source {
  if (weight.device !== device)
    throw new FoveaError('device', 'embed', `${weight.name} lies on another device (${weight.device.kind})`)
  if (weight.disposed) throw new FoveaError('disposed', 'embed', `${weight.name} was disposed`)
  return { dtype: weight.dtype, layout: weight.layout, width: weight.inFeatures, blocks: weight.blocks }
}

function tensorSource(table: Tensor): Source {
  const { dtype, shape } = table
  if (shape.length !== 2) throw new FoveaError('shape', 'embed', `table must be [V, C], got [${shape.join(', ')}]`)
  if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16')
    throw new FoveaError('dtype', 'embed', `table must be f32, f16 or bf16, got ${dtype}`)
  const [size, width] = shape as readonly [number, number]
  return { dtype, layout: 'rows', width, blocks: [{ from: 0, to: size, planes: { values: table } }] }
}

function check({ ids, output, positionTable, positions }: EmbedOptions, width: number): void {
  const given = { ids, output, ...(positionTable && { positionTable }), ...(positions && { positions }) }
  const show = () =>
    Object.entries(given)
      .map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(', ')}]`)
      .join(', ')
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) =>
    new FoveaError(code, 'embed', `${what}, got ${show()}`)
  if (ids.shape.length !== 1) throw fail('shape', 'ids must be [N]')
  const [count] = ids.shape
  if (output.shape.length !== 2 || output.shape[0] !== count || output.shape[1] !== width)
    throw fail('shape', `output must be [${count}, ${width}]`)
  if (!positionTable !== !positions) throw fail('argument', 'positionTable and positions come together')
  if (positionTable && (positionTable.shape.length !== 2 || positionTable.shape[1] !== width))
    throw fail('shape', `positionTable must be [P, ${width}]`)
  if (positions && (positions.shape.length !== 1 || positions.shape[0] !== count))
    throw fail('shape', `positions must be [${count}]`)
  if (ids.dtype !== 'i32' || (positions && positions.dtype !== 'i32'))
    throw fail('dtype', 'ids and positions must be i32')
  for (const tensor of [output, ...(positionTable ? [positionTable] : [])])
    if (!floats.includes(tensor.dtype)) throw fail('dtype', 'output and positionTable must be f32, f16 or bf16')
}

const fields: FieldsOf<EmbedOptions> = {
  table: true,
  ids: true,
  scale: true,
  positionTable: true,
  positions: true,
  output: true,
}
