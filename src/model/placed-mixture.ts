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
import type { NormSpec } from './decoder-spec.ts'
import { type BranchNorms, branchNorms, type MixtureSpec } from './mixture-spec.ts'
import type { PlacedNorm } from './placed-norm.ts'

/** The weights of a mixture layer on a device; the shared expert is the layer's MLP. */
export interface PlacedMixture {
  readonly spec: MixtureSpec
  readonly router: LinearWeight
  readonly selectionBias: Tensor | null // [E]
  readonly up: ExpertWeight
  readonly down: ExpertWeight
  readonly sharedGate: LinearWeight | null
  readonly expertScale: Tensor | null // [E]
  readonly branches: PlacedBranches | null
}

/** Norms of a mixture whose experts are a branch beside the shared expert. */
export type PlacedBranches = Readonly<Record<(typeof branchNorms)[number], PlacedNorm>>

/** What places weights and frees them all (`WeightLoader`). */
interface Placer {
  readonly device: Device
  linear(name: string, parts: readonly string[], bias: boolean): Promise<LinearWeight>
  vector(name: string): Promise<Tensor>
  norm(name: string, spec: NormSpec, size: number, factor?: number): Promise<PlacedNorm>
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
    expertScale: spec.expertScale ? await loader.vector(`${name}.expertScale`) : null,
    branches: spec.branches
      ? await loadBranches(loader, name, spec.branches, weights.matrixInfo(`${name}.router`).cols)
      : null,
  }
}

async function loadBranches(loader: Placer, name: string, norms: BranchNorms, size: number): Promise<PlacedBranches> {
  const norm = (which: (typeof branchNorms)[number], factor = 1) =>
    loader.norm(`${name}.norms.${which}`, norms[which], size, factor)
  return {
    beforeRouter: await norm('beforeRouter', norms.routerFactor),
    beforeExperts: await norm('beforeExperts'),
    afterExperts: await norm('afterExperts'),
    afterShared: await norm('afterShared'),
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
  const vectors = (spec.selectionBias ? experts : 0) + (spec.expertScale ? experts : 0)
  const { cols } = weights.matrixInfo(`${name}.router`)
  const norms = branchNorms.reduce(
    (sum, which) => sum + (spec.branches?.[which] ? vectorsOf(spec.branches[which]) * cols : 0),
    0,
  )
  return bytes(upNames(name, spec)) + bytes([`${name}.experts.down`]) + 4 * (vectors + norms)
}

/** Vectors that a normalisation takes on a device. */
function vectorsOf({ bias }: NormSpec): number {
  return bias ? 2 : 1
}
