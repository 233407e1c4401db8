import type { AttentionOptions } from '../attention/attention-request.ts'
import type { Captured } from '../attention/hooks.ts'
import { slidingWindow } from '../attention/masks/sliding-window.ts'
import { sigmoid } from '../attention/normalizers/sigmoid.ts'
import { softpick } from '../attention/normalizers/softpick.ts'
import { alibi, alibiSlopes } from '../attention/scores/alibi.ts'
import { softCap } from '../attention/scores/soft-cap.ts'
import type { Tensor } from '../device/device.ts'
import type { AttentionSpec } from '../model/decoder-spec.ts'
import { FoveaError } from '../tile/index.ts'
import type { UpdateRule } from './parameter-store.ts'

/** What a variant changes of a layer's attention: hooks that are added to the layer's own. */
export interface AttentionChange extends Pick<AttentionOptions, 'maskMod' | 'scoreMod' | 'normalizer'> {
  /** false: queries and keys are not turned (the variant has positions of its own) */
  readonly rope?: boolean
}

/** A tensor of a variant's own that is trained: every layer has one, f32. */
export interface VariantParameter {
  /** sizes, each ≥ 1; none for a single number. A function where they depend on the layer */
  readonly shape: readonly number[] | ((layer: AttentionSpec) => readonly number[])
  /** one number for all elements, or the values in row-major order. A function where they depend on the layer, `index` from 0 */
  readonly initial: number | ArrayLike<number> | ((layer: AttentionSpec, index: number) => number | ArrayLike<number>)
  /** how it is updated, over what the model's rule says of it; without weight decay unless that is said here */
  readonly update?: UpdateRule
}

/**
 * A way to attend. One that learns names its parameters, and `change` is given those of a layer:
 *
 *     const learned: AttentionVariant<'temperature'> = {
 *       name: 'temperature',
 *       parameters: { temperature: { shape: ({ numHeads }) => [numHeads], initial: 1 } },
 *       change: (_layer, _constant, { temperature }) => ({ scoreMod: ({ score, head }) => score.mul(temperature.at(head)) }),
 *     }
 */
export interface AttentionVariant<Name extends string = string> {
  /** as it was asked for, "window:8" */
  readonly name: string
  /**
   * linear attention instead of softmax: each token and head has a decay of log σ(h · gateᵀ + bias) / gateDivisor, h being the
   * layer's normalised input, `gate` [H, C] a parameter of its own
   */
  readonly gateDivisor?: number
  /** tensors that are trained, by names of letters and digits: "temperature" is the parameter "layers.0.attention.temperature" … */
  readonly parameters?: Readonly<Record<Name, VariantParameter>>
  /**
   * `constant` puts f32 numbers on the device for as long as the attention lives; `parameters` are those of one layer, which its
   * score function reads (`temperature.at(head)`). It is asked once for layers that attend alike, and what it gives serves them
   * all, each with its own parameters.
   */
  change(
    layer: AttentionSpec,
    constant: (data: Float32Array) => Tensor,
    parameters: Readonly<Record<Name, Captured>>,
  ): AttentionChange
}

/** A variant by its name; `value` is what stands behind a colon. */
interface VariantKind {
  readonly says: string
  /** default of the value; absent: it takes none */
  readonly value?: number
  readonly gated?: true
  make(value: number): AttentionVariant['change']
}

/** Ways to attend, a few lines each: causal all of them, and within the window that a layer may have. */
export const attentionVariants: Readonly<Record<string, VariantKind>> = {
  full: { says: 'softmax over all keys before', make: () => () => ({}) },
  window: {
    says: 'softmax over the last keys, so many with the own one',
    value: 256,
    make: (size) => () => ({ maskMod: slidingWindow(size - 1) }),
  },
  alibi: {
    says: 'softmax with a penalty by distance instead of rotary positions (arXiv 2108.12409)',
    make: () => (layer, constant) => ({ scoreMod: alibi(constant(alibiSlopes(layer.numHeads))), rope: false }),
  },
  softcap: {
    says: 'softmax of scores within ± the value (Gemma 2, arXiv 2408.00118)',
    value: 50,
    make: (cap) => () => ({ scoreMod: softCap(cap) }),
  },
  softpick: {
    says: 'rectified softmax without sinks (arXiv 2504.20966)',
    make: () => () => ({ normalizer: softpick }),
  },
  sigmoid: {
    says: 'each weight by itself, biased by −log of the keys (arXiv 2409.04431)',
    make: () => () => ({
      normalizer: sigmoid,
      scoreMod: ({ score, kLength }) => score.sub(kLength.cast('f32').log()),
    }),
  },
  'gated-linear-attention': {
    says: 'linear attention with a decay per token and head, whose logarithm the value divides (arXiv 2312.06635)',
    value: 16,
    gated: true,
    make: () => () => ({ rope: false }),
  },
}

/** The variant that a text names: "full", "window:8". Throws `argument` for an unknown one, listing the known, and for a value that is none. */
export function attentionVariant(text: string): AttentionVariant {
  const fault = (message: string) => new FoveaError('argument', 'attentionVariant', message)
  const [name = '', given, ...more] = text.split(':')
  const kind = Object.hasOwn(attentionVariants, name) ? attentionVariants[name] : undefined
  if (!kind) throw fault(`there is no attention "${text}"; known are ${Object.keys(attentionVariants).join(', ')}`)
  if (given !== undefined && (kind.value === undefined || more.length > 0))
    throw fault(`"${text}": ${name} takes ${kind.value === undefined ? 'no value' : 'one value'}`)
  const value = given === undefined ? (kind.value ?? 0) : Number(given)
  if (kind.value !== undefined && !(Number.isFinite(value) && value >= 1))
    throw fault(`"${text}": the value of ${name} is a number of at least 1`)
  if (name === 'window' && !Number.isInteger(value)) throw fault(`"${text}": a window is a whole number of keys`)
  return { name: text, change: kind.make(value), ...(kind.gated && { gateDivisor: value }) }
}
