import type { Tensor } from '../device/device.ts'
import type { LinearWeight } from '../nn/place-linear.ts'
import type { NormSpec } from './norm-spec.ts'
import type { PlacedNorm } from './placed-norm.ts'
import type { StreamsSpec } from './streams-spec.ts'

/** The weights of residual streams on a device. */
export interface PlacedStreams {
  readonly spec: StreamsSpec
  readonly into: readonly LinearWeight[] // [C, C], of all streams but the first
  readonly outOf: readonly LinearWeight[]
  readonly layers: readonly PlacedStreamsLayer[]
}

export interface PlacedStreamsLayer {
  readonly norm: PlacedNorm
  readonly router: LinearWeight // [S, C]
  readonly prediction: LinearWeight // [S·S, S]
  readonly correction: LinearWeight // [S, S]
  readonly scale: Tensor // [C]
}

interface Sizes {
  readonly numLayers: number
  readonly hiddenSize: number
}

const layerMatrices = ['router', 'prediction', 'correction'] as const
const besides = ({ count }: StreamsSpec) =>
  Array.from({ length: count - 1 }, (_, i) => [`streams.into.${i}`, `streams.outOf.${i}`])
const ofLayers = (numLayers: number) => Array.from({ length: numLayers }, (_, i) => `layers.${i}.streams`)

export async function loadStreams(
  loader: {
    linear(name: string, parts: readonly string[], bias: boolean): Promise<LinearWeight>
    norm(name: string, spec: NormSpec, size: number, factor?: number): Promise<PlacedNorm>
    vector(name: string): Promise<Tensor>
    ones(size: number): Tensor
  },
  spec: StreamsSpec,
  { numLayers, hiddenSize }: Sizes,
): Promise<PlacedStreams> {
  const linear = (name: string) => loader.linear(name, [name], false)
  const [into, outOf]: [LinearWeight[], LinearWeight[]] = [[], []]
  for (const [first, last] of besides(spec)) {
    into.push(await linear(first as string))
    outOf.push(await linear(last as string))
  }
  const layers: PlacedStreamsLayer[] = []
  for (const name of ofLayers(numLayers))
    layers.push({
      norm: await loader.norm(`${name}.norm`, spec.norm, hiddenSize, spec.routerFactor),
      router: await linear(`${name}.router`),
      prediction: await linear(`${name}.prediction`),
      correction: await linear(`${name}.correction`),
      scale: spec.scale ? await loader.vector(`${name}.scale`) : loader.ones(hiddenSize),
    })
  return { spec, into, outOf, layers }
}

/** Bytes that they take on a device; `linear` and `norm` are those of `weightBytes`. */
export function streamsBytes(
  spec: StreamsSpec,
  { numLayers, hiddenSize }: Sizes,
  of: { linear(parts: readonly string[], bias: boolean): number; norm(wanted: NormSpec): number },
): number {
  const sum = (names: readonly string[]) => names.reduce((total, name) => total + of.linear([name], false), 0)
  const layers = ofLayers(numLayers).map(
    (name) => sum(layerMatrices.map((which) => `${name}.${which}`)) + of.norm(spec.norm) + 4 * hiddenSize,
  )
  return sum(besides(spec).flat()) + layers.reduce((total, bytes) => total + bytes, 0)
}

/** Shapes of their weights; `into` is that of `shapesInto`. */
export function streamsShapes(
  spec: StreamsSpec,
  { numLayers, hiddenSize: C }: Sizes,
  into: {
    linear(name: string, rows: number, cols: number, bias: boolean): void
    norm(name: string, of: NormSpec, size: number): void
    vector(name: string, size: number): void
  },
): void {
  const { count: S, norm, scale } = spec
  for (const name of besides(spec).flat()) into.linear(name, C, C, false)
  for (const name of ofLayers(numLayers)) {
    into.norm(`${name}.norm`, norm, C)
    into.linear(`${name}.router`, S, C, false)
    into.linear(`${name}.prediction`, S * S, S, false)
    into.linear(`${name}.correction`, S, S, false)
    if (scale) into.vector(`${name}.scale`, C)
  }
}
