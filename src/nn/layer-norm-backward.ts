import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import { type NormBackwardOptions, normBackwardScratch, runNormBackward } from './norm-backward.ts'
import type { NormGradient } from './norm-backward-program.ts'

export interface LayerNormBackwardOptions extends NormBackwardOptions {
  readonly dBias?: Tensor // f32 [D], added to
}

/** Shape of the f32 scratch of `layerNormBackward` for x of a shape, where dWeight or dBias is wanted. */
export function layerNormBackwardScratch(shape: readonly number[]): readonly [number, number, number] {
  return normBackwardScratch(2, shape)
}

/**
 * Gradients of `layerNorm`. With c = x − mean(x), r = 1 / √(mean(c²) + eps), n = r · c and g = dOutput · (offset + weight):
 *
 *     dX = r · (g − mean(g) − n · mean(g · n))        dWeight += Σ dOutput · n        dBias += Σ dOutput, over rows
 *
 * Shapes, order and errors as in `rmsNormBackward`.
 */
export function layerNormBackward(device: Device, options: LayerNormBackwardOptions): void {
  checkFields('layerNormBackward', 'options', options, fields)
  const call = { where: 'layerNormBackward', name: 'layer-norm-backward', gradient }
  runNormBackward(device, { ...options, eps: options.eps ?? 1e-5 }, call)
}

const gradient: NormGradient = ({ x, g, inside, mean, eps }) => {
  // beyond the row there is nothing to centre: 0 must stay 0
  const centred = inside.select(x.sub(mean(x)), 0) //             [tileN, tileD]
  const r = mean(centred.mul(centred)).add(eps).rsqrt() //        [tileN, 1]
  const normalized = centred.mul(r)
  return {
    normalized,
    dX: g
      .sub(mean(g))
      .sub(normalized.mul(mean(g.mul(normalized))))
      .mul(r),
  }
}

const fields: FieldsOf<LayerNormBackwardOptions> = {
  dBias: true,
  x: true,
  weight: true,
  eps: true,
  offset: true,
  dOutput: true,
  dX: true,
  accumulateX: true,
  dWeight: true,
  scratch: true,
}
