import type { Device, Tensor } from '../device/device.ts'
import {
  type ExpertWeight,
  expertBytes,
  type PlaceExpertsOptions,
  placeExperts,
  splitExperts,
} from '../nn/experts/place-experts.ts'
import type { LinearWeight } from '../nn/place-linear.ts'
import type { MatrixData } from '../nn/weight-data.ts'
import type { WeightSource } from './checkpoint.ts'
import type { MixtureSpec } from './mixture-spec.ts'

/** The weights of a mixture layer on a device; the shared expert is the layer's MLP. */
export interface PlacedMixture {
  readonly spec: MixtureSpec
  readonly router: LinearWeight
  readonly selectionBias: Tensor | null // [E]
  readonly up: ExpertWeight
  readonly down: ExpertWeight
  readonly sharedGate: LinearWeight | null
}

/** What places weights and frees them all (`WeightLoader`). */
interface Placer {
  readonly device: Device
  linear(name: string, parts: readonly string[], bias: boolean): Promise<LinearWeight>
  vector(name: string): Promise<Tensor>
  own<T extends { dispose(): void }>(thing: T): T
}

/** The first product's matrices of each expert, by our names. */
function upNames(name: string, { gated }: MixtureSpec): readonly string[] {
  return gated ? [`${name}.experts.gate`, `${name}.experts.up`] : [`${name}.experts.up`]
}

/** Reads the experts of a layer, one kind of matrix after the other, and places them; `name` is that of the mixture. */
export async function loadMixture(
  loader: Placer,
  weights: WeightSource,
  name: string,
  spec: MixtureSpec,
): Promise<PlacedMixture> {
  const experts = (names: readonly string[], width: number) =>
    readExperts(weights, names, { experts: spec.experts, width, bias: spec.bias === true })
  const { device } = loader
  return {
    spec,
    router: await loader.linear(`${name}.router`, [`${name}.router`], spec.routerBias === true),
    selectionBias: spec.selectionBias ? await loader.vector(`${name}.selectionBias`) : null,
    up: loader.own(placeExperts(device, { name: `${name}.up`, ...(await experts(upNames(name, spec), spec.size)) })),
    down: loader.own(
      placeExperts(device, {
        name: `${name}.down`,
        ...(await experts([`${name}.experts.down`], weights.matrixInfo(`${name}.experts.down`).rows / spec.experts)),
      }),
    ),
    sharedGate: spec.sharedGate ? await loader.linear(`${name}.sharedGate`, [`${name}.sharedGate`], false) : null,
  }
}

async function readExperts(
  weights: WeightSource,
  names: readonly string[],
  { experts, width, bias }: { readonly experts: number; readonly width: number; readonly bias: boolean },
): Promise<Pick<PlaceExpertsOptions, 'experts' | 'bias'>> {
  const parts: MatrixData[][][] = []
  const biases: Float32Array[] = []
  for (const name of names) {
    parts.push(splitExperts(await weights.matrix(name), experts, [width]))
    if (bias) biases.push(await weights.vector(`${name}.bias`))
  }
  const joined = Array.from({ length: experts }, (_, e) => parts.flatMap((part) => part[e] ?? []))
  if (!bias) return { experts: joined }
  const all = new Float32Array(experts * names.length * width)
  for (let e = 0; e < experts; e++)
    for (const [p, values] of biases.entries())
      all.set(values.subarray(e * width, (e + 1) * width), (e * names.length + p) * width)
  return { experts: joined, bias: all }
}

/** Bytes that the experts of a layer take on a device, beside router and shared expert. */
export function mixtureBytes(
  kind: ExpertWeight['device']['kind'],
  weights: WeightSource,
  name: string,
  spec: MixtureSpec,
  maxBindingBytes: number | undefined,
): number {
  const { experts } = spec
  const options = { bias: spec.bias === true, ...(maxBindingBytes !== undefined && { maxBindingBytes }) }
  const bytes = (names: readonly string[]) => {
    const [first] = names.map((each) => weights.matrixInfo(each))
    if (!first) return 0
    const rows = names.map(() => first.rows / experts)
    return expertBytes(first.dtype, experts, rows, first.cols, kind, options)
  }
  return bytes(upNames(name, spec)) + bytes([`${name}.experts.down`]) + (spec.selectionBias ? 4 * experts : 0)
}
