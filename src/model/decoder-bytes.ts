import type { Device } from '../device/device.ts'
import { headWeightBytes } from '../nn/head-weight.ts'
import { linearBytes } from '../nn/place-linear.ts'
import type { Checkpoint, WeightSource } from './checkpoint.ts'
import type { AttentionSpec, LayerSpec, NormSpec } from './decoder-spec.ts'
import type { MixtureSpec } from './mixture-spec.ts'
import { ropeBytes } from './place-rope.ts'
import { mixtureBytes } from './placed-mixture.ts'
import { perLayerBytes } from './placed-per-layer.ts'
import { streamsBytes } from './placed-streams.ts'
import { headNormSize, mlpName, qkvGroups, upParts } from './weight-groups.ts'

/** Bytes of device memory that `loadDecoderWeights` takes, from the sizes and formats that the file states. */
export function decoderBytes(device: Device, checkpoint: Checkpoint, maxPositions: number): number {
  const { spec } = checkpoint
  const { linear, norm, layer } = weightBytes(device, checkpoint, spec.hiddenSize)
  const sizes = { numLayers: spec.layers.length, hiddenSize: spec.hiddenSize }
  const positions = spec.embedding.learnedPositions ? checkpoint.matrixInfo('positionEmbedding') : null
  return (
    linear(['tokenEmbedding'], false) +
    (positions ? 4 * (positions.rows - (spec.embedding.firstPosition ?? 0)) * positions.cols : 0) +
    norm(spec.embedding.norm ?? null) +
    spec.layers.reduce((sum, layerSpec, i) => sum + layer(layerSpec, `layers.${i}`), 0) +
    (spec.perLayer ? perLayerBytes(spec.perLayer, spec.layers.length, { linear, norm }) : 0) +
    (spec.streams ? streamsBytes(spec.streams, sizes, { linear, norm }) : 0) +
    norm(spec.finalNorm) +
    (spec.logits.tied ? 0 : linear(['lmHead'], spec.logits.bias)) +
    ropeBytes(
      spec.layers.map(({ attention }) => attention.rope),
      maxPositions,
    )
  )
}

/** Bytes that parts of a model take on a device. */
export function weightBytes(device: Device, weights: WeightSource, hiddenSize: number) {
  const maxBindingBytes = device.info.limits.maxStorageBufferBindingSize
  const linear = (parts: readonly string[], bias: boolean): number => {
    const infos = parts.map((part) => weights.matrixInfo(part))
    const [first] = infos
    if (!first) return 0
    return linearBytes(
      first.dtype,
      infos.map(({ rows }) => rows),
      first.cols,
      device.kind,
      { bias, ...(maxBindingBytes !== undefined && { maxBindingBytes }) },
    )
  }
  const norm = (wanted: NormSpec | null): number => (wanted ? 4 * hiddenSize * (wanted.bias ? 2 : 1) : 0)
  const latent = (name: string, { latent: spec }: AttentionSpec): number => {
    if (!spec) return 0
    const up = weights.matrixInfo(`${name}.attention.latentUp`)
    const query = spec.query ? linear([`${name}.attention.queryUp`], false) + 4 * spec.query.rank : 0
    return headWeightBytes(up.dtype, up.rows, up.cols) + 4 * spec.rank + query
  }
  const mixtureParts = (name: string, spec: MixtureSpec): number =>
    mixtureBytes(device.kind, weights, name, spec, maxBindingBytes) +
    linear([`${name}.router`], spec.routerBias === true) +
    (spec.sharedGate ? linear([`${name}.sharedGate`], false) : 0)
  const layer = (layerSpec: LayerSpec, name: string): number => {
    const { attention, mlp, mixture, norms } = layerSpec
    const qkNormWidth = attention.qkNorm ? headNormSize(attention, 'queryNorm') + headNormSize(attention, 'keyNorm') : 0
    return (
      qkvGroups(weights, name, attention).reduce((sum, { parts }) => sum + linear(parts, attention.qkvBias), 0) +
      linear([`${name}.attention.output`], attention.outputBias) +
      (attention.gate ? linear([`${name}.attention.outputGate`], false) : 0) +
      (mlp.size > 0 ? linear(upParts(mlpName(name, layerSpec), mlp), mlp.bias) : 0) +
      (mlp.size > 0 ? linear([`${mlpName(name, layerSpec)}.down`], mlp.bias) : 0) +
      (layerSpec.laurel
        ? linear([`${name}.laurel.down`], false) + linear([`${name}.laurel.up`], false) + norm(layerSpec.laurel.norm)
        : 0) +
      (mixture ? mixtureParts(`${name}.mixture`, mixture) : 0) +
      Object.values(norms).reduce((sum, wanted: NormSpec | null) => sum + norm(wanted), 0) +
      4 * qkNormWidth +
      latent(name, attention)
    )
  }
  return { linear, norm, layer }
}
