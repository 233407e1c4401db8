import type { Device, Tensor } from '../../../device/device.ts'
import type { Tiling } from '../../../device/tuning.ts'
import type { Program } from '../../../tile/index.ts'
import type { ScoreGradient } from '../../backward/score-gradient.ts'
import type { NormalizerGradient } from '../../backward/weight-gradient.ts'
import type { CallCache } from '../../call-cache.ts'
import { dropoutKey } from '../../dropout.ts'
import type { MaskMod, ScoreMod } from '../../hooks.ts'
import type { Pass } from '../../pass.ts'
import type { PreparedCall } from '../../prepare-call.ts'
import { commonAlignment } from '../flash.ts'
import type { FlashTensors } from '../flash-pass.ts'
import type { BackwardProgramSpec } from './gradient-tile.ts'
import { type KeyGradientOutputs, keyGradientProgram } from './key-gradient-program.ts'
import { queryGradientProgram } from './query-gradient-program.ts'
import { rowStateProgram } from './row-state-program.ts'
import { rowTermsProgram, rowTermsTile } from './row-terms-program.ts'
import { sinkGradientProgram } from './sink-gradient-program.ts'

// FlashAttention-2 (Dao, 2023, arXiv 2307.08691), algorithm 2, as two passes without atomics: no element of a gradient is
// written by two programs, so two runs agree in every bit. With s = scoreMod(scale · q·k) and p = softmax(s),
//
//   dV_k = Σ_q p_qk dO_q     dP_qk = dO_q · v_k     delta_q = Σ_k p_qk dP_qk − dLse_q = dO_q · O_q − dLse_q
//   dS_qk = p_qk (dP_qk − delta_q) ∂scoreMod     dQ_q = scale Σ_k dS_qk k_k     dK_k = scale Σ_q dS_qk q_q
//
// (other normalizers: `backward/weight-gradient.ts`). p is computed again from lse in both passes: seven products of tiles for the five of the derivation, and no buffer that
// grows with tokens².

/** Tensors of one backward: those of the forward, and gradients; what the gradients held is replaced. */
export interface BackwardTensors extends FlashTensors {
  readonly dOutput: Tensor // [B, T, H, Dv]
  /** gradient of lse; zero by default */
  readonly dLse?: Tensor // [B, H, T]
  readonly dQuery: Tensor // as query
  readonly dKey: Tensor // as key
  readonly dValue: Tensor // as value
  readonly dSinks?: Tensor // f32 [H]
  /** gradients (f32) of tensors of floats that `scoreMod` captured; of those that the map names */
  readonly dCaptured?: ReadonlyMap<Tensor, Tensor>
}

/** What a prepared backward has of its own. */
export interface BackwardParts {
  readonly call: PreparedCall
  readonly cache: CallCache
  readonly scoreMod: ScoreMod | null
  readonly scoreGradient: ScoreGradient | null
  readonly withSinks: boolean
  /** the normalizer's derivative, with and without a gradient of lse */
  gradientOf(dLse: boolean): NormalizerGradient
  readonly query: SidePart
  readonly key: SidePart
  /** row terms f32 [terms, B, H, T], and the final states that they need, if any */
  readonly rows: Tensor
  readonly states: Tensor | null
}

/** Tiles of one of the two passes, the mask that its kernel asks, and its work on the device. */
export interface SidePart {
  readonly tiling: Tiling
  readonly maskMod: MaskMod | null
  /** names the mask of the kernel */
  readonly maskKey: string
  readonly work: Tensor
  readonly itemCount: number
  readonly headsPerItem: number
}

/** The kernels of a backward, in order. */
export function backwardPasses(device: Device, parts: BackwardParts, tensors: BackwardTensors): readonly Pass[] {
  const given = givenParts(parts, tensors)
  return [
    ...statePasses(given, tensors),
    rowTermsPass(given, tensors),
    ...sinkPasses(given, tensors),
    queryGradientPass(given, tensors),
    ...keyGradientPasses(device, given, tensors),
  ]
}

/** The same for one call: has it a gradient of lse? */
export interface GivenParts extends BackwardParts {
  readonly gradient: NormalizerGradient
  readonly dLse: boolean
}

export function givenParts(parts: BackwardParts, { dLse }: BackwardTensors): GivenParts {
  return { ...parts, gradient: parts.gradientOf(dLse !== undefined), dLse: dLse !== undefined }
}

function statePasses(parts: GivenParts, { query, key }: BackwardTensors): Pass[] {
  const { states } = parts
  if (!states) return []
  const { spec, kernelKey } = sideSpec(parts, parts.query, { query, key })
  const program = programOf(parts.cache, `row-state ${kernelKey}`, () => rowStateProgram(spec))
  const { kernel, tensors } = sidePass(parts, parts.query, program, { query, key })
  const { rows: _, ...bound } = tensors
  return [{ kernel, tensors: { ...bound, states } }]
}

function rowTermsPass({ call, cache, rows, states, gradient }: GivenParts, tensors: BackwardTensors): Pass {
  const { dtype, valueDim, batch, queries, numHeads } = call.shape
  const { output, lse, dOutput, dLse, sinks } = tensors
  const { padTo } = call.tiling
  const alignment = commonAlignment([output, dOutput])
  const has = { dLse: dLse !== undefined, sinks: sinks !== undefined }
  const key = [dtype, valueDim, padTo, alignment, has.dLse, has.sinks, cache.numberOf(call.normalizer)].join(' ')
  const program = programOf(cache, `row-terms ${key}`, () =>
    rowTermsProgram({ dtype, valueDim, padTo, alignment, ...has, gradient }),
  )
  const optional = { ...(dLse && { dLse }), ...(sinks && { sinks }), ...(states && { states }) }
  return {
    kernel: { program, grid: [Math.ceil(queries / rowTermsTile), numHeads, batch], scalars: {} },
    tensors: { output, lse, dOutput, rows, ...optional },
  }
}

function sinkPasses({ call, cache, rows, gradient }: GivenParts, { dSinks }: BackwardTensors): Pass[] {
  if (!dSinks) return []
  const term = gradient.termCount
  const program = programOf(cache, `sink-gradient ${term}`, () => sinkGradientProgram(term))
  return [{ kernel: { program, grid: [call.shape.numHeads, 1, 1], scalars: {} }, tensors: { rows, dSinks } }]
}

function queryGradientPass(parts: GivenParts, tensors: BackwardTensors): Pass {
  const { query, key, value, dOutput, dQuery } = tensors
  const bound = { query, key, value, dOutput, dQuery }
  const { spec, kernelKey } = sideSpec(parts, parts.query, bound)
  const program = programOf(parts.cache, `query-gradient ${kernelKey}`, () => queryGradientProgram(spec))
  return sidePass(parts, parts.query, program, bound)
}

function keyGradientPasses(device: Device, parts: GivenParts, tensors: BackwardTensors): Pass[] {
  const { query, key, value, dOutput, dKey, dValue } = tensors
  const inputs = { query, key, value, dOutput }
  const passOf = (outputs: KeyGradientOutputs, gradients: Readonly<Record<string, Tensor>>) => {
    const bound = { ...inputs, ...gradients }
    const { spec, kernelKey } = sideSpec(parts, parts.key, bound)
    const program = programOf(parts.cache, `key-gradient ${outputs} ${kernelKey}`, () =>
      keyGradientProgram({ ...spec, outputs }),
    )
    return sidePass(parts, parts.key, program, bound)
  }
  const most = device.info.limits.maxStorageBuffersPerShaderStage ?? Number.POSITIVE_INFINITY
  const fits = ({ kernel }: Pass) => kernel.program.params.filter(({ kind }) => kind === 'tensor').length <= most
  const together: Pass[] = shareMemory(dKey, dValue)
    ? joined(dKey, dValue).map((view) => ({ ...passOf('joined', { dKeyValue: view }), view }))
    : [passOf('separate', { dKey, dValue })]
  if (together.length > 0 && together.every(fits)) return together
  for (const { view } of together) view?.dispose?.()
  return [passOf('key', { dKey }), passOf('value', { dValue })]
}

/** Of specs whose tensors are still to come: do they look like parts of the same rows? */
function shareMemory(a: Tensor, b: Tensor): boolean {
  const known = (a as Partial<Tensor>).sharesMemory
  return known ? a.sharesMemory(b) : Math.abs(b.offset - a.offset) < (a.strides[1] as number) && a.offset !== b.offset
}

/** Both gradients as one tensor [2, …], where they lie in one memory in the same way; nothing where they do not. */
function joined(dKey: Tensor, dValue: Tensor): Tensor[] {
  const step = dValue.offset - dKey.offset
  const alike = dKey.shape.every((size, dim) => dValue.shape[dim] === size && dValue.strides[dim] === dKey.strides[dim])
  if (!alike || step <= 0) return []
  const spec = { shape: [2, ...dKey.shape], strides: [step, ...dKey.strides], offset: dKey.offset }
  return [(dKey as Partial<Tensor>).view ? dKey.view(spec) : ({ ...spec, dtype: dKey.dtype } as unknown as Tensor)]
}

/** What specialises a pass over tiles, and the name of all of it. */
export function sideSpec(
  parts: GivenParts,
  side: SidePart,
  bound: Readonly<Record<string, Tensor>>,
): { spec: BackwardProgramSpec; kernelKey: string } {
  const { call, scoreMod, scoreGradient, cache, gradient, dLse } = parts
  const { normalizer, packed, dropout } = call
  const { dtype, headDim, valueDim, groupSize } = call.shape
  const alignment = commonAlignment(Object.values(bound))
  const { tileQ, tileK, padTo } = side.tiling
  const sizes = { dtype, headDim, valueDim, groupSize, tileQ, tileK, padTo, alignment, packed }
  const names = [side.maskKey, call.score?.key, dropoutKey(dropout, cache.numberOf)]
  const hooks = [...names, cache.numberOf(normalizer), dLse, parts.withSinks]
  const { maskMod } = side
  return {
    spec: { ...sizes, normalizer, scoreMod, maskMod, dropout, gradient, scoreGradient },
    kernelKey: [...Object.values(sizes), ...hooks].join('|'),
  }
}

function sidePass(
  { call, rows }: BackwardParts,
  { work, itemCount, headsPerItem }: SidePart,
  program: Program,
  bound: Readonly<Record<string, Tensor>>,
): Pass {
  const scalars = { scale: call.scale, scaleLog2: call.scale * Math.LOG2E, firstItem: 0 }
  return { kernel: { program, grid: [itemCount, headsPerItem, 1], scalars }, tensors: { ...bound, rows, work } }
}

export function programOf(cache: CallCache, key: string, make: () => Program): Program {
  const known = cache.programs.get(key)
  if (known) return known
  const program = make()
  cache.programs.set(key, program)
  return program
}
