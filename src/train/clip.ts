import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  defineProgram,
  load,
  longAxis,
  longAxisId,
  loop,
  type Program,
  scalar,
  sizeOf,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../tile/index.ts'
import { stepIndex } from './optimizers/optimizer.ts'
import type { ParameterGroup } from './parameters.ts'
import { stepValues } from './step-values.ts'

/** elements of a gradient that a program sums, and at a time */
const [chunk, tile] = [8192, 1024]

export interface ClipOptions {
  readonly groups: readonly ParameterGroup[]
  /** largest global norm; null: gradients are only rescaled */
  readonly maxNorm: number | null
  readonly scratch: Tensor // f32 [clipScratch(groups)]
  readonly step: Tensor // f32 [8], see stepFields: reads lossScale, writes gradientFactor and skip
  /** the norm before clipping, without the loss scale */
  readonly norm: Tensor // f32 [1]
}

/** How many f32 numbers of scratch `enqueueClip` needs. */
export function clipScratch(groups: readonly ParameterGroup[]): number {
  return groups.reduce((sum, { size }) => sum + Math.ceil(size / chunk), 0)
}

/**
 * Clips gradients by their global norm over all groups (Pascanu et al. 2012, "On the difficulty of training recurrent neural
 * networks", arXiv 1211.5063), on the device and without touching them: optimisers multiply by gradientFactor.
 *
 *     norm = √(Σ gradient²) / lossScale
 *     gradientFactor = min(1, maxNorm / (norm + 1e-6)) / lossScale
 *     skip = 1 where the norm is infinite or NaN, else 0
 *
 * Sums are taken in a fixed order. Throws what `Device.run` throws.
 */
export function enqueueClip(device: Device, { groups, maxNorm, scratch, step, norm }: ClipOptions): void {
  let from = 0
  for (const { gradient, size } of groups) {
    if (size === 0) continue
    const programs = Math.ceil(size / chunk)
    const partial = scratch.slice(0, from, from + programs)
    device.run({ program: sumSquares(gradient), grid: [...longAxis(programs), 1], scalars: {} }, { gradient, partial })
    partial.dispose()
    from += programs
  }
  const clips = maxNorm !== null
  device.run(
    { program: clipProgram(clips), grid: [1, 1, 1], scalars: { count: from, ...(clips && { maxNorm }) } },
    { partial: scratch, step, norm },
  )
}

function sumSquares(gradient: Tensor): Program {
  return defineProgram('gradient-norm', (p) => {
    const x = p.input('gradient', 'f32', [null], { alignment: alignmentOf(gradient) })
    const partial = p.output('partial', 'f32', [null])
    const program = longAxisId(p, 0, 1)
    const from = program.mul(chunk)
    const sum = sumOver(x, from, sizeOf(x, 0).sub(from).min(chunk), (v) => v.mul(v))
    p.emit(store(partial, [program], sum))
  })
}

function clipProgram(clips: boolean): Program {
  return defineProgram(clips ? 'clip-gradients' : 'rescale-gradients', (p) => {
    const partial = p.input('partial', 'f32', [null])
    const step = p.update('step', 'f32', [8])
    const norm = p.output('norm', 'f32', [1])
    const total = sumOver(partial, scalar(0, 'i32'), p.scalar('count', 'i32'), (v) => v)
    const finite = total.le(3.4e38)
    const { lossScale } = stepValues(step)
    const unscaled = total.sqrt().div(lossScale)
    const clipped = clips ? p.scalar('maxNorm', 'f32').div(unscaled.add(1e-6)).min(1) : scalar(1)
    p.emit(store(norm, [0], unscaled))
    p.emit(store(step, [stepIndex('gradientFactor')], finite.select(clipped.div(lossScale), 0)))
    p.emit(store(step, [stepIndex('skip')], finite.select(0, 1)))
  })
}

/** Σ of(x[i]) for i in from … from + count − 1: side by side in a tile, then along it. */
function sumOver(x: TensorParam, from: Value, count: Value, of: (v: Value) => Value): Value {
  const { acc } = loop({ to: count, step: tile }, { acc: zeros([1, tile]) }, (i, { acc }) => {
    const at = colRange(i, tile)
    return { acc: acc.add(at.lt(count).select(of(load(x, [colRange(from.add(i), tile)])), 0)) }
  })
  return acc.rowSum()
}
