import type { PagePool } from '../attention/paged/page-pool.ts'
import { writeLatent } from '../cache/write-latent.ts'
import type { Device, Tensor } from '../device/device.ts'
import { headLinear, sumHeadRows } from '../nn/head-weight.ts'
import { linear } from '../nn/linear.ts'
import { normalised } from './apply-norm.ts'
import { attendPages } from './attend-pages.ts'
import type { LatentSpec } from './decoder-spec.ts'
import type { PlacedLatent, PlacedLayer } from './decoder-weights.ts'
import type { HeadViews, StepViews } from './step-views.ts'

/**
 * Latent attention (`LatentSpec`) of what the layer's input was projected to: queries meet the latents as they lie in the
 * pages, in prefill too, and what each head gives is made of the sum of latents. Gives [N, H · valueDim].
 */
export function attendLatent(
  device: Device,
  layer: PlacedLayer,
  placed: PlacedLatent,
  pool: PagePool,
  { qkv, query, attended, attention: calls, latent: views }: HeadViews,
  step: StepViews,
): Tensor {
  const { numHeads: H, headDim, latent } = layer.spec.attention
  const { nopeDim, ropeDim, rank, valueDim } = latent as LatentSpec
  const { queryDown, queryUp, output } = views as NonNullable<HeadViews['latent']>
  const [N = 0, width = 0] = qkv.shape
  const made: Tensor[] = []
  const view = (tensor: Tensor) => {
    made.push(tensor)
    return tensor
  }
  try {
    const projected = view(qkv.slice(1, 0, width - headDim))
    const compressed = view(qkv.slice(1, width - headDim, width))
    if (placed.query && queryDown && queryUp) {
      const { norm, up } = placed.query
      linear(device, { ...normalised(device, norm, up, projected, queryDown), weight: up, output: queryUp })
    }
    const heads = view(byHead(queryUp ?? projected, H, nopeDim + ropeDim))
    const meeting = view(query.slice(2, 0, rank))
    sumHeadRows(device, { x: view(heads.slice(2, 0, nopeDim)), weight: placed.up.first, output: meeting })
    writeLatent(device, {
      ...{ compressed, rotary: view(heads.slice(2, nopeDim, nopeDim + ropeDim)), rope: layer.rope, pages: pool, query },
      ...{ positions: step.positions, slots: step.slots, recentSlots: step.recentSlots },
      norm: { eps: placed.norm.spec.eps, offset: placed.norm.spec.offset, weight: placed.norm.weight },
    })
    for (const call of calls) attendPages(device, layer, pool, step, call)
    headLinear(device, {
      ...{ x: view(byHead(attended, H, rank)), weight: placed.up.second },
      output: view(output.reshape([N, H, valueDim])),
    })
    return output
  } finally {
    for (const tensor of made) tensor.dispose()
  }
}

/** Rows [N, H · width] by head. */
function byHead(rows: Tensor, H: number, width: number): Tensor {
  const [stride = 1] = rows.strides
  return rows.view({ shape: [rows.shape[0] as number, H, width], strides: [stride, width, 1], offset: rows.offset })
}
