import type { Device, Tensor } from '../../device/device.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import type { LinearWeight } from '../../nn/place-linear.ts'
import type { WeightSource } from '../checkpoint.ts'
import { weightBytes } from '../decoder-bytes.ts'
import { type PlacedLayer, WeightLoader } from '../decoder-weights.ts'
import { ropeBytes } from '../place-rope.ts'
import type { PlacedNorm } from '../placed-norm.ts'
import type { EncoderSpec, ScoreHeadSpec } from './encoder-spec.ts'

export interface PlacedEncoderLayer extends PlacedLayer {
  readonly sumNorms: { readonly attention: PlacedNorm | null; readonly mlp: PlacedNorm | null }
}

/** The head that makes a score of a pooled hidden state. */
export interface PlacedScoreHead {
  readonly spec: ScoreHeadSpec
  readonly dense: LinearWeight | null
  readonly norm: PlacedNorm | null
  readonly output: LinearWeight
}

/** The weights of an encoder on a device. */
export interface EncoderWeights {
  readonly spec: EncoderSpec
  readonly embedding: LinearWeight
  /** what is added to a token's row: row type · positions + position holds the sum of both, f32 [T · P, C] */
  readonly placeTable: Tensor | null
  readonly embeddingNorm: PlacedNorm | null
  readonly layers: readonly PlacedEncoderLayer[]
  readonly finalNorm: PlacedNorm | null
  readonly head: PlacedScoreHead | null
  dispose(): void
}

export interface EncoderLoadOptions {
  /** most tokens of a text: rotary tables reach so far */
  readonly maxTokens: number
  readonly signal?: AbortSignal
}

/** Reads an encoder's weights and puts them on a device, as they are stored. Rejects with what is thrown, after freeing what was placed. */
export async function loadEncoderWeights(
  device: Device,
  weights: WeightSource,
  spec: EncoderSpec,
  head: ScoreHeadSpec | null,
  options: EncoderLoadOptions,
): Promise<EncoderWeights> {
  const loader = new WeightLoader(device, weights)
  try {
    const embedding = await loader.linear('tokenEmbedding', ['tokenEmbedding'], false)
    const table = await placeRows(weights, spec)
    const placeTable = table && loader.own(device.tensor(table, [table.length / spec.hiddenSize, spec.hiddenSize]))
    const norm = async (name: string, of: EncoderSpec['finalNorm']) =>
      of ? await loader.norm(name, of, spec.hiddenSize) : null
    const embeddingNorm = await norm('embeddingNorm', spec.embedding.norm)
    const layers: PlacedEncoderLayer[] = []
    for (const [i, layer] of spec.layers.entries()) {
      options.signal?.throwIfAborted()
      const name = `layers.${i}`
      layers.push({
        ...(await loader.layer(name, layer, spec.hiddenSize, options.maxTokens)),
        sumNorms: {
          attention: await norm(`${name}.sumNorms.attention`, layer.sumNorms.attention),
          mlp: await norm(`${name}.sumNorms.mlp`, layer.sumNorms.mlp),
        },
      })
    }
    const finalNorm = await norm('finalNorm', spec.finalNorm)
    const placedHead = head && {
      spec: head,
      dense: head.dense && (await loader.linear('score.dense', ['score.dense'], head.dense.bias)),
      norm: await norm('score.norm', head.norm),
      output: await loader.linear('score.output', ['score.output'], head.bias),
    }
    return {
      spec,
      embedding,
      placeTable,
      embeddingNorm,
      layers,
      finalNorm,
      head: placedHead,
      dispose: () => loader.dispose(),
    }
  } catch (error) {
    loader.dispose()
    throw error
  }
}

/** Bytes of device memory that `loadEncoderWeights` takes. */
export function encoderBytes(
  device: Device,
  weights: WeightSource,
  spec: EncoderSpec,
  head: ScoreHeadSpec | null,
  maxTokens: number,
): number {
  const { linear, norm, layer } = weightBytes(device, weights, spec.hiddenSize)
  const { positions, tokenTypes } = spec.embedding
  const places = positions || tokenTypes > 0 ? (positions?.rows ?? 1) * Math.max(1, tokenTypes) : 0
  const ropes = spec.layers.map(({ attention }) => attention.rope)
  return (
    linear(['tokenEmbedding'], false) +
    4 * places * spec.hiddenSize +
    norm(spec.embedding.norm) +
    spec.layers.reduce((sum, of, i) => {
      return sum + layer(of, `layers.${i}`) + norm(of.sumNorms.attention) + norm(of.sumNorms.mlp)
    }, 0) +
    norm(spec.finalNorm) +
    ropeBytes(ropes, maxTokens) +
    (head
      ? (head.dense ? linear(['score.dense'], head.dense.bias) : 0) +
        norm(head.norm) +
        linear(['score.output'], head.bias)
      : 0)
  )
}

/** The rows of positions and token types, summed for every pair of them; null where there are neither. */
async function placeRows(
  weights: WeightSource,
  { embedding, hiddenSize: C }: EncoderSpec,
): Promise<Float32Array | null> {
  const read = async (name: string) => dequantizeRows(await weights.matrix(name))
  const positions = embedding.positions ? await read('positionEmbedding') : null
  const types = embedding.tokenTypes > 0 ? await read('tokenTypes') : null
  if (!positions || !types) return positions ?? types
  const table = new Float32Array(types.length * (positions.length / C))
  for (let type = 0, at = 0; type < types.length; type += C)
    for (let i = 0; i < positions.length; i++, at++)
      table[at] = (positions[i] as number) + (types[type + (i % C)] as number)
  return table
}
