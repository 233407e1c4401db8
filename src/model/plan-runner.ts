import { workWidth } from '../attention/paged/paged-work.ts'
import type { Device } from '../device/device.ts'
import { FoveaError } from '../tile/index.ts'
import type { DecoderSpec } from './decoder-spec.ts'
import { type HeadsPlan, headsKey, planHeads } from './plan-heads.ts'
import type { CachePlan, RunnerLimits } from './runner-limits.ts'
import type { StepDTypes, StepLimits } from './step-buffers.ts'
import { valueWidth } from './value-width.ts'

export type { CachePlan, RunnerLimits } from './runner-limits.ts'

/** Tilings, capacities and limits of a runner, known before anything is allocated. */
export interface RunnerPlan {
  /** for each kind of heads that layers have, by `headsKey` */
  readonly heads: ReadonlyMap<string, HeadsPlan>
  readonly stepLimits: StepLimits
}

/** f16 where a GPU computes in it, else f32. */
export function defaultStepDTypes(device: Device): StepDTypes {
  const half = device.kind === 'webgpu' && (device.info.tier ?? 0) >= 2
  return half ? { compute: 'f16', query: 'f16' } : { compute: 'f32', query: 'f32' }
}

/** Throws `unsupported` for a decoder without layers. */
export function planRunner(
  device: Device,
  spec: DecoderSpec,
  cache: CachePlan,
  limits: RunnerLimits,
  dtypes: StepDTypes,
): RunnerPlan {
  if (spec.layers.length === 0)
    throw new FoveaError('unsupported', 'planRunner', `a ${spec.architecture} without layers`)
  // what attention of a parallel layer adds would lie where the MLP's input waits
  const clash = spec.layers.findIndex(
    ({ parallel, norms, branchScale }) => parallel && (norms.afterAttention || (branchScale?.attention ?? 1) !== 1),
  )
  if (clash >= 0)
    throw new FoveaError(
      'unsupported',
      'planRunner',
      `layer ${clash} of ${spec.architecture} is parallel and scales or normalises what attention gives`,
    )
  const keys = new Set(spec.layers.map(({ attention }) => headsKey(attention)))
  const heads = new Map(
    [...keys].map((key) => {
      const layers = spec.layers.filter(({ attention }) => headsKey(attention) === key)
      return [key, planHeads(device, layers, cache, limits, dtypes)] as const
    }),
  )
  const plans = [...heads.values()]
  const most = (of: (plan: HeadsPlan) => number) => plans.reduce((found, plan) => Math.max(found, of(plan)), 0)
  const sum = (of: (plan: HeadsPlan) => number) => plans.reduce((total, plan) => total + of(plan), 0)
  return {
    heads,
    stepLimits: {
      tokens: limits.tokens,
      rows: limits.rows,
      stateElements: most(({ stateRows, spec }) => stateRows * valueWidth(spec)),
      stateRows: most(({ stateRows }) => stateRows),
      prefillItems: sum(({ visible, prefillItems }) => visible.length * prefillItems(limits.tokens)),
      decodeItems: sum(({ visible, mostDecodeItems }) => visible.length * mostDecodeItems),
      workWidth,
      kind: device.kind,
    },
  }
}
