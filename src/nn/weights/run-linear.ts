import type { Device, Tensor } from '../../device/device.ts'
import { FoveaError, type StorageDType } from '../../tile/index.ts'
import type { Activation, GatedActivation } from '../activations.ts'
import type { LinearWeight, WeightBlock } from '../place-linear.ts'
import { type FusedNorm, fusesNorm } from './fused-norm.ts'
import { linearKernel } from './linear-kernel.ts'
import { panelWidth, placedFormats } from './placed-format.ts'

/** A call of `linear` or `gatedLinear`. */
export interface LinearCall {
  readonly where: string
  readonly x: Tensor
  readonly weight: LinearWeight
  readonly output: Tensor
  readonly activation: Activation | null
  /** of `gated`, in place of activation(gate) · up */
  readonly combine: GatedActivation | null
  readonly accumulate: boolean
  readonly gated: boolean
  readonly norm: FusedNorm | null
}

const floats: readonly StorageDType[] = ['f32', 'f16', 'bf16']

/** Checks a call and enqueues its kernels: one, or one for each block of the weight. */
export function runLinear(device: Device, call: LinearCall): void {
  const { where, x, weight, output, gated, norm } = call
  const fail = (code: 'shape' | 'dtype' | 'disposed' | 'device' | 'unsupported', what: string) => {
    const tensors = `x ${describe(x)}, output ${describe(output)}`
    return new FoveaError(
      code,
      where,
      `${weight.name} [${weight.outFeatures}, ${weight.inFeatures}]: ${what}, got ${tensors}`,
    )
  }
  if (weight.device !== device) throw fail('device', `the weight lies on another device (${weight.device.kind})`)
  if (weight.disposed) throw fail('disposed', 'the weight was disposed')
  const [rows] = x.shape
  const outputs = gated ? weight.outFeatures / 2 : weight.outFeatures
  if (x.shape.length !== 2 || x.shape[1] !== weight.inFeatures)
    throw fail('shape', `x must be [N, ${weight.inFeatures}]`)
  if (output.shape.length !== 2 || output.shape[0] !== rows || output.shape[1] !== outputs)
    throw fail('shape', `output must be [${rows}, ${outputs}]`)
  if (x.strides[1] !== 1 && x.shape[1] !== 1) throw fail('shape', 'the last dimension of x must be contiguous')
  for (const { dtype } of [x, output]) if (!floats.includes(dtype)) throw fail('dtype', 'takes f32, f16 and bf16')
  if (norm && (norm.weight.dtype !== 'f32' || norm.weight.shape.join() !== String(weight.inFeatures)))
    throw fail('shape', `the weight of a norm must be f32 [${weight.inFeatures}], not ${describe(norm.weight)}`)
  if (norm && !fusesNorm(weight, rows as number))
    throw fail('unsupported', `a weight in ${weight.layout} normalises no ${rows} rows`)
  if (rows === 0) return
  const blocks = gated ? [gatedBlock(weight, fail)] : weight.blocks
  const { parts } = placedFormats[weight.dtype]
  const depth = weight.inFeatures / parts
  const byPart = x.view({
    shape: [rows as number, parts, depth],
    strides: [x.strides[0] as number, depth, 1],
    offset: x.offset,
  })
  const normByPart =
    norm?.weight.view({ shape: [parts, depth], strides: [depth, 1], offset: norm.weight.offset }) ?? null
  try {
    for (const block of blocks) {
      const own = blocks.length === 1 ? output : output.slice(1, block.from, block.to)
      try {
        runBlock(device, call, byPart, normByPart, block, own)
      } finally {
        if (own !== output) own.dispose()
      }
    }
  } finally {
    byPart.dispose()
    normByPart?.dispose()
  }
}

function runBlock(
  device: Device,
  call: LinearCall,
  x: Tensor,
  norm: Tensor | null,
  { planes, bias }: WeightBlock,
  output: Tensor,
): void {
  const { weight, activation, combine, accumulate, gated } = call
  const { dtype, layout } = weight
  const half = (weight.parts[0]?.to ?? 0) as number
  const kernel = linearKernel(
    { dtype, layout, x, planes, norm, bias, output, activation, combine, gated, accumulate, experts: null },
    device,
    weight.programs,
    {
      ...(gated && { second: layout === 'panels' ? Math.ceil(half / panelWidth) : half }),
      ...(call.norm && { eps: call.norm.eps, offset: call.norm.offset }),
    },
  )
  device.run(kernel, { x, output, ...planes, ...(norm && { norm }), ...(bias && { bias }) })
}

function gatedBlock(
  { parts, whole }: LinearWeight,
  fail: (code: 'shape' | 'unsupported', what: string) => FoveaError,
): WeightBlock {
  const [gate, up] = parts
  if (parts.length !== 2 || !gate || !up || gate.to !== up.to - up.from)
    throw fail('shape', 'the weight must be placed as two parts of one size, [gate, up]')
  if (!whole) throw fail('unsupported', 'a gated weight must fit one buffer of each plane')
  return whole
}

function describe({ dtype, shape, strides }: Tensor): string {
  return `${dtype} [${shape.join(', ')}] strides [${strides.join(', ')}]`
}
