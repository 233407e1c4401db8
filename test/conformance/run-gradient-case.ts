import { type AttentionRequest, prepareTrainableAttention } from '../../src/attention/index.ts'
import { flashBackwardReference } from '../../src/attention/softmax/backward/flash-backward.reference.ts'
import type { PlainPosition } from '../../src/attention/softmax/flash.reference.ts'
import type { Device, Tensor } from '../../src/device/device.ts'
import { roundTo } from '../../src/ir/narrow-float.ts'
import { relativeRms } from './closeness.ts'
import { type CaseInput, type FloatDType, guarded, swapTokensAndHeads } from './run-attention-case.ts'

/**
 * Bounds of the relative RMS error of a gradient. f32: sums of up to some hundred products of numbers that were themselves
 * sums, each rounded to 2⁻²⁴, stay below 1e-6 here. Narrow ones are as wrong as the output that delta is taken from, and as
 * what they are rounded to: a few units in the last place, 2⁻¹¹ and 2⁻⁸.
 */
const bounds = { f32: 2e-6, f16: 2e-3, bf16: 1.6e-2 } as const

/** An input with the gradients that arrive, [B, T, H, Dv] and [B, H, T]. */
export interface GradientInput extends CaseInput {
  readonly dOutput: ArrayLike<number>
  readonly dLse?: ArrayLike<number>
  /** factor of each weight under dropout; 1 by default */
  readonly kept?: (position: PlainPosition) => number
  /** what must come out, in the layouts of inputs; by default the float64 reference on rounded inputs */
  readonly goldenGradients?: Readonly<Record<string, ArrayLike<number>>>
  /** gradients of the tensors that the hooks capture, in the order in which `request` makes those; null: it has none */
  readonly goldenCaptured?: readonly (ArrayLike<number> | null)[]
}

/**
 * Runs forward and backward of one input on a device and holds the gradients to what is recorded, or to the float64
 * reference. Tensors lie as [B, H, T, D] seen as [B, T, H, D]; gradients start as NaN with guards on both sides. Returns
 * every fault found.
 */
export async function gradientFaults(
  device: Device,
  input: GradientInput,
  dtype: FloatDType,
  tiling?: AttentionRequest['tiling'],
): Promise<string[]> {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim } = input
  const rounded = (data: ArrayLike<number>) => Float64Array.from(data, (x) => roundTo(dtype, x))
  const host = { ...input, query: rounded(input.query), key: rounded(input.key), value: rounded(input.value) }
  const dOutputHost = rounded(input.dOutput)
  const temporary: Tensor[] = []
  const keep = (tensor: Tensor) => {
    temporary.push(tensor)
    return tensor
  }
  const headsFirst = (data: ArrayLike<number>, tokens: number, heads: number, width: number) => {
    const swapped = Float32Array.from(swapTokensAndHeads(data, batch, tokens, heads, width))
    return keep(keep(device.tensor(swapped, [batch, heads, tokens, width], dtype)).transpose(1, 2))
  }
  const query = headsFirst(host.query, queries, numHeads, headDim)
  const key = headsFirst(host.key, keys, numKvHeads, headDim)
  const value = headsFirst(host.value, keys, numKvHeads, valueDim)
  const dOutput = headsFirst(dOutputHost, queries, numHeads, valueDim)
  const output = keep(device.empty([batch, queries, numHeads, valueDim], dtype))
  const lse = keep(device.empty([batch, numHeads, queries]))
  const dLse = input.dLse && keep(device.tensor(Float32Array.from(input.dLse), [batch, numHeads, queries]))
  const sinks = input.sinks && keep(device.tensor(Float32Array.from(input.sinks), [numHeads]))
  const outputs = {
    dQuery: guarded(device, [batch, numHeads, queries, headDim], dtype),
    dKey: guarded(device, [batch, numKvHeads, keys, headDim], dtype),
    dValue: guarded(device, [batch, numKvHeads, keys, valueDim], dtype),
    ...(sinks && { dSinks: guarded(device, [numHeads], 'f32') }),
  }
  const { made = [], ...options } = input.request(device)
  const prepared = await prepareTrainableAttention(device, {
    query,
    key,
    value,
    ...options,
    ...(sinks && { sinks }),
    ...(tiling && { tiling }),
  })
  const tensors = { query, key, value, output, lse, ...(sinks && { sinks }) }
  prepared.forward(tensors)
  const [dQuery, dKey, dValue] = [outputs.dQuery, outputs.dKey, outputs.dValue].map(({ tensor }) =>
    keep(tensor.transpose(1, 2)),
  ) as [Tensor, Tensor, Tensor]
  const dCaptured = new Map<Tensor, Tensor>()
  const captured = (input.goldenCaptured ?? []).flatMap((wanted, i) => {
    if (!wanted || dtype !== 'f32') return []
    const gradient = guarded(device, (made[i] as Tensor).shape, 'f32')
    dCaptured.set(made[i] as Tensor, gradient.tensor)
    return [{ wanted, gradient }]
  })
  prepared.backward({
    ...tensors,
    dCaptured,
    ...{ dOutput, dQuery, dKey, dValue },
    ...(outputs.dSinks && { dSinks: outputs.dSinks.tensor }),
    ...(dLse && { dLse }),
  })
  const got = new Map<string, Float32Array>()
  for (const [name, output] of Object.entries(outputs)) got.set(name, await output.read())
  const capturedErrors: string[] = []
  for (const { wanted, gradient } of captured) {
    const { error } = relativeRms(await gradient.read(), wanted)
    if (!(error <= bounds.f32)) capturedErrors.push(`a captured tensor: error ${error.toExponential(2)}`)
    capturedErrors.push(...gradient.faults)
  }
  prepared.dispose()
  for (const tensor of [...temporary, ...made]) tensor.dispose()

  const expected: Readonly<Record<string, ArrayLike<number>>> =
    input.goldenGradients && dtype === 'f32'
      ? input.goldenGradients
      : { ...flashBackwardReference(host, dOutputHost, input.dLse ?? null, input.kept) }
  const widths = { dQuery: [numHeads, headDim], dKey: [numKvHeads, headDim], dValue: [numKvHeads, valueDim] } as const
  const faults = [...capturedErrors, ...Object.values(outputs).flatMap(({ faults }) => faults)]
  for (const [name, numbers] of got) {
    const [heads, width] = widths[name as keyof typeof widths] ?? [1, 1]
    const wanted = expected[name] as ArrayLike<number>
    const tokens = wanted.length / (batch * heads * width)
    const { error, worst } = relativeRms(
      numbers,
      name === 'dSinks' ? wanted : swapTokensAndHeads(wanted, batch, tokens, heads, width),
    )
    // a sink's gradient is one number, a sum over all queries of terms of both signs
    const bound = (name === 'dSinks' ? 5 : 1) * bounds[dtype]
    if (!(error <= bound))
      faults.push(`${name} ${dtype}: error ${error.toExponential(2)}, worst at ${worst}: ${numbers[worst]}`)
  }
  return faults
}
