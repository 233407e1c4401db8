import type { RopeSpec } from '../decoder-spec.ts'
import { defaultRope } from '../rope/default-rope.ts'
import { proportionalRope } from '../rope/proportional-rope.ts'
import type { SpecOptions } from './architecture.ts'
import type { ConfigFields } from './config-fields.ts'
import { everyNth, type LayerType, readLayerTypes, readWindow } from './layer-types.ts'
import { type Heads, readHeads } from './plain-decoder.ts'
import { readRope } from './read-rope.ts'

/** What the layers of Gemma 4 differ in. */
export interface Gemma4Layer {
  readonly heads: Heads
  readonly rope: RopeSpec
  readonly window: number | null
  /** the layer whose keys and values it reads, null: its own */
  readonly keysFrom: number | null
}

/** Reads what each layer is: types, heads of each (`per_layer_config`, or the older fields of layers that see all), sharing. */
export function gemma4Layers(
  config: ConfigFields,
  sizes: {
    readonly numLayers: number
    readonly hiddenSize: number
    readonly maxPositions: number
    readonly options: SpecOptions
  },
): (index: number) => Gemma4Layer {
  const { numLayers } = sizes
  const listed = readLayerTypes(config, numLayers, everyNth(6))
  // the last layer sees all, whatever is said
  const types = listed.map((type, index) => (index === numLayers - 1 ? 'full_attention' : type))
  const usual = readHeads(config, sizes.hiddenSize, { numHeads: 8, numKvHeads: 4, headDim: 256 })
  const headsOf = headsByLayer(config, usual, types)
  const window = readWindow(config, 512)
  const keysFrom = sharedKeys(config, types)
  return (index) => {
    const type = types[index] as LayerType
    const heads = headsOf(index)
    return {
      heads,
      rope: ropeOf(config, type, { ...sizes, headDim: heads.headDim }),
      window: type === 'sliding_attention' ? window : null,
      keysFrom: keysFrom(index),
    }
  }
}

/**
 * The last `num_kv_shared_layers` layers read the keys and values of the last layer of their type before them. Throws
 * `format` where there is none.
 */
export function sharedKeys(
  config: ConfigFields,
  types: readonly LayerType[],
  fallback = 0,
): (index: number) => number | null {
  const name = 'num_kv_shared_layers'
  const count = config.isZero(name) ? 0 : config.size(name, fallback)
  const first = types.length - count
  if (count > 0 && first < 1) throw config.fault(name, `leaves none of ${types.length} layers with keys of its own`)
  return (index) => {
    if (index < first) return null
    const from = types.lastIndexOf(types[index] as LayerType, first - 1)
    if (from < 0)
      throw config.fault(name, `leaves no ${types[index]} layer before layer ${index} whose keys it could read`)
    return from
  }
}

function headsByLayer(config: ConfigFields, usual: Heads, types: readonly LayerType[]): (index: number) => Heads {
  const perLayer = config.section('per_layer_config')
  const checked = (fields: ConfigFields, heads: Heads): Heads => {
    if (heads.numHeads % heads.numKvHeads === 0) return heads
    throw fields.fault('num_key_value_heads', `${heads.numKvHeads} does not divide ${heads.numHeads} attention heads`)
  }
  if (!perLayer) {
    const headDim = config.size('global_head_dim', 512)
    const fewer = config.flag('attention_k_eq_v', false)
    const numKvHeads = fewer ? config.size('num_global_key_value_heads', usual.numKvHeads) : usual.numKvHeads
    const full = checked(config, { ...usual, headDim, numKvHeads })
    return (index) => (types[index] === 'full_attention' ? full : usual)
  }
  // numbers of layers may have zeros before them
  const digits = [1, 2, 3, 4]
  return (index) => {
    const name = digits.map((count) => String(index).padStart(count, '0')).find((key) => perLayer.has(key))
    const own = name === undefined ? null : perLayer.section(name)
    if (!own) return usual
    return checked(own, {
      numHeads: usual.numHeads,
      numKvHeads: own.size('num_key_value_heads', usual.numKvHeads),
      headDim: own.size('head_dim', usual.headDim),
    })
  }
}

/** `rope_parameters` for each type of layer; without them those of Gemma 4. */
function ropeOf(
  config: ConfigFields,
  layerType: LayerType,
  request: { readonly headDim: number; readonly maxPositions: number; readonly options: SpecOptions },
): RopeSpec {
  if (config.section('rope_parameters')) return readRope(config, { ...request, layerType })
  const { headDim } = request
  const frequencies =
    layerType === 'full_attention'
      ? proportionalRope({ headDim, theta: 1_000_000, partial: 0.25, factor: 1 })
      : defaultRope({ rotaryDim: headDim, theta: 10_000 })
  return { rotaryDim: headDim, interleaved: false, ...frequencies }
}
