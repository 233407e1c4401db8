import type { Device, Tensor } from '../device/device.ts'
import { accumulate } from '../nn/accumulate.ts'
import { sigmoid } from '../nn/activations.ts'
import { gateHeads } from '../nn/gate-heads.ts'
import { gatedLinear } from '../nn/gated-mlp.ts'
import { linear } from '../nn/linear.ts'
import type { LinearWeight } from '../nn/place-linear.ts'
import { sparseGate } from '../nn/sparse-gate.ts'
import { xielu } from '../nn/xielu.ts'
import { type LinearInput, normalise, normalised } from './apply-norm.ts'
import type { PlacedLayer, PlacedMlp } from './decoder-weights.ts'
import { enqueueMixture, enqueueRouting } from './enqueue-mixture.ts'
import type { PlacedBranches, PlacedMixture } from './placed-mixture.ts'
import type { PlacedNorm } from './placed-norm.ts'
import { mixtureKey } from './step-buffers.ts'
import type { MixtureViews, StepViews } from './step-views.ts'

/** x += scale · norm(mlp(norm(x))), or with experts in its place; `given`: what a parallel layer's sublayers read. */
export function addMlp(device: Device, layer: PlacedLayer, given: Tensor | null, step: StepViews): void {
  const { norms, mlp, mixture, spec } = layer
  const scale = spec.branchScale?.mlp ?? 1
  if (mixture?.branches) addBranches(device, layer, mixture, mixture.branches, step, scale)
  else if (mixture) addMixture(device, layer, mixture, given, step, scale)
  else if (mlp) {
    const input = given ? { x: given } : normalised(device, norms.beforeMlp, mlp.up, step.x, step.h)
    const inner = enqueueMlp(device, mlp, input, innerOf(step, mlp), step.gates.get(mlp.spec.size))
    addSublayer(device, inner, mlp.down, norms.afterMlp, step, scale)
  }
}

/** x += scale · norm(experts(input) + shared(input)) */
function addMixture(
  device: Device,
  { norms, mlp }: PlacedLayer,
  mixture: PlacedMixture,
  parallelInput: Tensor | null,
  step: StepViews,
  scale: number,
): void {
  const { x, y, h } = step
  const input = parallelInput ?? (norms.beforeMlp ? normalise(device, norms.beforeMlp, x, h) : x)
  const direct = !norms.afterMlp && scale === 1
  const views = step.mixtures.get(mixtureKey(mixture.spec)) as MixtureViews
  const output = direct ? x : parallelInput ? h : y
  if (mlp) {
    const inner = enqueueMlp(device, mlp, { x: input }, innerOf(step, mlp))
    if (mixture.sharedGate) {
      linear(device, { x: input, weight: mixture.sharedGate, output: step.sharedGate })
      gateHeads(device, { gate: step.sharedGate, activation: sigmoid, output: inner })
    }
    linear(device, { x: inner, weight: mlp.down, output, accumulate: direct })
  }
  enqueueRouting(device, mixture, input, views)
  enqueueMixture(device, mixture, input, views, output, direct || mlp !== null)
  if (!direct) {
    const other = output === y ? h : y
    accumulate(device, {
      x: norms.afterMlp ? normalise(device, norms.afterMlp, output, other) : output,
      output: x,
      scale,
    })
  }
}

/** x += scale · norm(afterShared(shared(beforeMlp(x))) + afterExperts(experts(beforeExperts(x)))) */
function addBranches(
  device: Device,
  { norms, mlp }: PlacedLayer,
  mixture: PlacedMixture,
  branches: PlacedBranches,
  step: StepViews,
  scale: number,
): void {
  const { x, y, h, z } = step
  const views = step.mixtures.get(mixtureKey(mixture.spec)) as MixtureViews
  enqueueRouting(device, mixture, normalise(device, branches.beforeRouter, x, h), views)
  enqueueMixture(device, mixture, normalise(device, branches.beforeExperts, x, h), views, z, false)
  normalise(device, branches.afterExperts, z, y)
  if (mlp) {
    const inner = enqueueMlp(device, mlp, normalised(device, norms.beforeMlp, mlp.up, x, h), innerOf(step, mlp))
    linear(device, { x: inner, weight: mlp.down, output: z })
    accumulate(device, { x: normalise(device, branches.afterShared, z, h), output: y })
  }
  accumulate(device, { x: norms.afterMlp ? normalise(device, norms.afterMlp, y, h) : y, output: x, scale })
}

const innerOf = ({ inner }: StepViews, { spec }: PlacedMlp) => inner.get(spec.size) as Tensor

/** What an MLP gives before its last matrix; `gates`: gates and ups [N, 2·I] where gates count from a cut on. */
export function enqueueMlp(device: Device, mlp: PlacedMlp, input: LinearInput, output: Tensor, gates?: Tensor): Tensor {
  const { activation, combine, gated, gateDeviations: deviations } = mlp.spec
  if (deviations !== undefined && gates) {
    linear(device, { ...input, weight: mlp.up, output: gates })
    sparseGate(device, { x: gates, deviations, activation, output })
    return output
  }
  const up = { ...input, weight: mlp.up, output }
  if (gated) gatedLinear(device, { ...up, activation, combine })
  else linear(device, mlp.xielu ? up : { ...up, activation })
  if (mlp.xielu) xielu(device, { ...mlp.xielu, output })
  return output
}

/** x += scale · norm(weight · input) */
export function addSublayer(
  device: Device,
  input: Tensor,
  weight: LinearWeight,
  norm: PlacedNorm | null,
  { x, y, h }: Pick<StepViews, 'x' | 'y' | 'h'>,
  scale = 1,
): void {
  if (!norm && scale === 1) {
    linear(device, { x: input, weight, output: x, accumulate: true })
    return
  }
  linear(device, { x: input, weight, output: y })
  accumulate(device, { x: norm ? normalise(device, norm, y, h) : y, output: x, scale })
}
