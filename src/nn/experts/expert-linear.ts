import type { Device, Tensor } from '../../device/device.ts'
import { FoveaError, type StorageDType } from '../../tile/index.ts'
import type { Activation, GatedActivation } from '../activations.ts'
import type { ExpertRows } from '../weights/expert-rows.ts'
import { linearKernel } from '../weights/linear-kernel.ts'
import { panelWidth, placedFormats } from '../weights/placed-format.ts'
import { addExpertBias } from './add-expert-bias.ts'
import type { ExpertBlock, ExpertWeight } from './place-experts.ts'

/** Rows that meet experts, see ExpertRows; lists are i32 and flat. */
export type RoutedRows =
  | { readonly kind: 'pairs'; readonly chosen: Tensor; readonly weights: Tensor | null; readonly xByToken: boolean }
  | { readonly kind: 'slots'; readonly chosen: Tensor; readonly weights: Tensor | null }
  | {
      readonly kind: 'tiles'
      /** of `sortPairs` */
      readonly list: Tensor
      readonly tiles: number
      readonly tileM: number
      readonly weights: Tensor | null
      readonly xByToken: boolean
    }

export interface ExpertLinearCall {
  readonly where: string
  readonly x: Tensor // [N or P, K]
  readonly weight: ExpertWeight
  /** a gate and an up of each expert are one product: output = activation(gate) · up */
  readonly gated: boolean
  readonly activation: Activation | null
  /** of `gated`, in place of activation(gate) · up */
  readonly combine: GatedActivation | null
  readonly rows: RoutedRows
  readonly perToken: number
  readonly output: Tensor // [P or N, M]
  readonly accumulate: boolean
}

/** planes beside which a sum over experts may bind biases: every WebGPU device binds eight tensors */
const mostPlanes = 3
const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']

/** The products of rows with the experts that were chosen for them: a kernel for each block of the weight. */
export function runExpertLinear(device: Device, call: ExpertLinearCall): void {
  const { where, x, weight, gated, rows, perToken, output } = call
  const fail = (code: 'shape' | 'dtype' | 'disposed' | 'device', what: string) => {
    const shape = `${weight.experts} × [${weight.outFeatures}, ${weight.inFeatures}]`
    const got = [x, output].map((t) => `${t.dtype} [${t.shape.join(', ')}]`)
    return new FoveaError(code, where, `${weight.name} ${shape}: ${what}, got x ${got[0]}, output ${got[1]}`)
  }
  if (weight.device !== device) throw fail('device', `the weight lies on another device (${weight.device.kind})`)
  if (weight.disposed) throw fail('disposed', 'the weight was disposed')
  const [gate = 0, up = 0] = weight.parts
  if (gated && (weight.parts.length !== 2 || gate !== up))
    throw fail('shape', 'each expert must be placed as two matrices of one size, [gate, up]')
  const outputs = gated ? gate : weight.outFeatures
  if (x.shape.length !== 2 || x.shape[1] !== weight.inFeatures)
    throw fail('shape', `x must be [N, ${weight.inFeatures}]`)
  if (output.shape.length !== 2 || output.shape[1] !== outputs) throw fail('shape', `output must be [N, ${outputs}]`)
  if (x.strides[1] !== 1 && x.shape[1] !== 1) throw fail('shape', 'the last dimension of x must be contiguous')
  for (const { dtype } of [x, output]) if (!floats.includes(dtype)) throw fail('dtype', 'takes f32, f16 and bf16')
  if (output.shape[0] === 0) return
  const { parts } = placedFormats[weight.dtype]
  const depth = weight.inFeatures / parts
  const byPart = x.view({
    shape: [x.shape[0] as number, parts, depth],
    strides: [x.strides[0] as number, depth, 1],
    offset: x.offset,
  })
  const experts: ExpertRows = {
    kind: rows.kind,
    perToken,
    xByToken: rows.kind !== 'slots' && rows.xByToken,
    weighed: rows.weights !== null,
    tileM: rows.kind === 'tiles' ? rows.tileM : 1,
  }
  try {
    // a sum over experts of several blocks goes on
    for (const [i, block] of weight.blocks.entries())
      runBlock(
        device,
        { ...call, accumulate: call.accumulate || (rows.kind === 'slots' && i > 0) },
        experts,
        byPart,
        block,
      )
  } finally {
    byPart.dispose()
  }
}

function runBlock(
  device: Device,
  { weight, gated, activation, combine, rows, output, accumulate }: ExpertLinearCall,
  experts: ExpertRows,
  x: Tensor,
  { from, to, planes, bias }: ExpertBlock,
): void {
  const { dtype, layout, parts, stride, outFeatures } = weight
  const [gate = 0] = parts
  const later = rows.kind === 'slots' && bias !== null && Object.keys(planes).length > mostPlanes
  const own = later ? null : bias
  const kernel = linearKernel(
    { dtype, layout, x, planes, norm: null, bias: own, output, activation, combine, gated, accumulate, experts },
    device,
    weight.programs,
    {
      ...(gated && { second: layout === 'panels' ? Math.ceil(gate / panelWidth) : gate }),
      firstExpert: from,
      endExpert: to,
      expertStride: stride,
      expertFeatures: outFeatures,
      ...(rows.kind === 'tiles' && (rows.xByToken || rows.weights) && { orderFrom: 3 * rows.tiles }),
    },
    rows.kind === 'tiles' ? rows.tiles : 0,
  )
  const { weights } = rows
  device.run(kernel, {
    x,
    output,
    ...planes,
    ...(own && { bias: own }),
    ...(weights && { weights }),
    ...(rows.kind === 'tiles' ? { list: rows.list } : { chosen: rows.chosen }),
  })
  if (later && bias) addExpertBias(device, { from, to, bias, chosen: rows.chosen, weights, output })
}
