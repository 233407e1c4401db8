import { prepareTrainableAttention } from '../../src/attention/index.ts'
import { causal } from '../../src/attention/masks/index.ts'
import type { Device } from '../../src/device/index.ts'
import { type GpuRow, measured, round } from './gpu-row.ts'
import type { GpuSizes } from './gpu-sizes.ts'
import { checkGradients, type GradientProblem } from './gradient-check.ts'
import { interleavedTimes } from './interleaved-times.ts'
import { repeatedNormal } from './repeated-normal.ts'

/** Causal f16 attention with its gradients, counted as 3.5 times the forward's operations, and the backward alone as 2.5. */
export async function backwardRows(device: Device, sizes: GpuSizes['dense']): Promise<GpuRow[]> {
  const rows: GpuRow[] = []
  for (const { batch, numHeads, tokens, headDim } of sizes) {
    const whole = [batch, tokens, numHeads, headDim]
    const count = whole.reduce((a, b) => a * b)
    const host = Object.fromEntries(
      (['query', 'key', 'value', 'dOutput'] as const).map((name, i) => [name, repeatedNormal(count, 'f16', i + 1)]),
    ) as GradientProblem['host']
    const given = (name: keyof typeof host) => device.tensor(host[name].data, whole, 'f16')
    const empty = () => device.tensor(new Uint16Array(count).fill(0x7e00), whole, 'f16')
    const tensors = {
      ...{ query: given('query'), key: given('key'), value: given('value'), dOutput: given('dOutput') },
      ...{ output: empty(), lse: device.empty([batch, numHeads, tokens]) },
      ...{ dQuery: empty(), dKey: empty(), dValue: empty() },
    }
    const trainable = await prepareTrainableAttention(device, { ...tensors, maskMod: causal })
    trainable.forward(tensors)
    trainable.backward(tensors)
    const shape = {
      batch,
      queries: tokens,
      keys: tokens,
      numHeads,
      numKvHeads: numHeads,
      headDim,
      dtype: 'f16',
    } as const
    const error = await checkGradients({ shape, host, tensors })
    const both = () => {
      trainable.forward(tensors)
      trainable.backward(tensors)
    }
    const times = await interleavedTimes(device, [both, () => trainable.backward(tensors)])
    const operations = 2 * batch * numHeads * tokens * tokens * headDim
    const name = `f16 B${batch} H${numHeads} T${tokens} D${headDim} causal`
    for (const [i, [part, factor]] of [['forward + backward', 3.5] as const, ['backward', 2.5] as const].entries())
      rows.push({
        case: `${name}, ${part}`,
        system: 'fovea',
        unit: 'TFLOP/s',
        ...measured(times[i]!, factor * operations, 1e12),
        relativeError: round(error),
      })
    trainable.dispose()
    for (const tensor of Object.values(tensors)) tensor.dispose()
  }
  return rows
}
