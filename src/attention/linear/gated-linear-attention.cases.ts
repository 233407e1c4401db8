import type { GatedLinearForm } from './gated-linear-spec.ts'

/**
 * How logDecay is drawn from u in −1 … 1. `mild`: a half-life of some ten tokens; `none`: 0; `slow`: a thousand tokens; `strong`: down to −40 per token;
 * `reset`: nearly none, but one token in six forgets everything (−10⁹); `closed`: the same with −∞.
 */
export type DecayKind = 'none' | 'slow' | 'mild' | 'strong' | 'reset' | 'closed'

export interface GatedLinearCase {
  readonly name: string
  readonly B: number
  readonly T: number
  readonly H: number
  readonly D: number
  readonly Dv: number
  /** one decay per token and channel [B, T, H, D], per token [B, T, H], or for all tokens of a head [H] */
  readonly decayPer: 'channel' | 'token' | 'head'
  readonly decay: DecayKind
  readonly initialState: boolean
  readonly cuSeqlens: readonly number[] | null
  readonly form: GatedLinearForm
}

const plain: GatedLinearCase = {
  name: '',
  B: 1,
  T: 64,
  H: 2,
  D: 32,
  Dv: 32,
  decayPer: 'channel',
  decay: 'mild',
  initialState: false,
  cuSeqlens: null,
  form: 'chunked',
}
const vary = (name: string, change: Partial<GatedLinearCase>): GatedLinearCase => ({ ...plain, ...change, name })

/** Chosen to expose: chunk edges, widths that are no tile, states in and out, decays that overflow a naive factorisation. */
export const gatedLinearAttentionCases: readonly GatedLinearCase[] = [
  vary('whole chunks', {}),
  vary('one token', { T: 1, initialState: true }),
  vary('T 63', { T: 63, B: 2 }),
  vary('T 65, states', { T: 65, initialState: true }),
  vary('T 1000', { T: 1000, H: 1, D: 16, Dv: 16 }),
  vary('odd widths', { T: 37, D: 40, Dv: 24, initialState: true }),
  vary('very odd widths', { T: 19, D: 7, Dv: 5, initialState: true }),
  vary('headDim 128', { T: 33, H: 1, D: 128, Dv: 128 }),
  vary('headDim 256', { T: 18, H: 1, D: 256, Dv: 16 }),
  vary('values wider than a tile', { T: 20, D: 16, Dv: 144, initialState: true }),
  vary('no decay', { decay: 'none', initialState: true }),
  vary('slow decay, many tokens', { T: 1000, H: 1, D: 16, Dv: 16, decay: 'slow', initialState: true }),
  vary('strong decay', { T: 70, decay: 'strong', initialState: true }),
  vary('tokens that forget', { T: 70, decay: 'reset', initialState: true }),
  vary('closed gates', { T: 70, decay: 'closed', initialState: true }),
  vary('packed', { T: 71, cuSeqlens: [0, 1, 18, 18, 50, 71], initialState: true }),
  vary('one decay per token', { T: 65, B: 2, decayPer: 'token', initialState: true }),
  vary('per token, strong', { T: 70, decayPer: 'token', decay: 'strong', initialState: true }),
  vary('per token, tokens that forget', { T: 70, decayPer: 'token', decay: 'reset', initialState: true }),
  vary('per token, closed gates, packed', { T: 40, decayPer: 'token', decay: 'closed', cuSeqlens: [0, 17, 40] }),
  vary('recurrent', { T: 9, B: 2, initialState: true, form: 'recurrent' }),
  vary('recurrent, slow decay, many tokens', { T: 300, H: 1, D: 16, Dv: 16, decay: 'slow', form: 'recurrent' }),
  vary('recurrent, many tokens', { T: 100, H: 1, D: 16, Dv: 16, form: 'recurrent' }),
  vary('recurrent, odd widths', { T: 5, D: 40, Dv: 24, form: 'recurrent' }),
  vary('recurrent, closed gates', { T: 12, decay: 'closed', initialState: true, form: 'recurrent' }),
  vary('recurrent, per token, packed', { T: 7, decayPer: 'token', cuSeqlens: [0, 3, 7], form: 'recurrent' }),
]

/** Retention: the same with one decay for all tokens of a head. */
export const retentionCases: readonly GatedLinearCase[] = [
  vary('whole chunks', { decayPer: 'head' }),
  vary('odd sizes', { B: 2, T: 70, H: 3, D: 20, Dv: 24, decayPer: 'head', initialState: true }),
  vary('no decay', { decayPer: 'head', decay: 'none' }),
  vary('packed', { T: 50, decayPer: 'head', cuSeqlens: [0, 13, 50] }),
  vary('recurrent', { T: 6, decayPer: 'head', initialState: true, form: 'recurrent' }),
]

export interface GatedLinearInputs {
  readonly query: Float64Array
  readonly key: Float64Array
  readonly value: Float64Array
  readonly logDecay: Float64Array
  readonly initialState: Float64Array | null
}

/** The tensors of a case in row-major order; `random` gives numbers in −1 … 1. */
export function gatedLinearInputs(of: GatedLinearCase, random: () => number): GatedLinearInputs {
  const draw = (n: number, map = (u: number) => u) => Float64Array.from({ length: n }, () => Math.fround(map(random())))
  const tokens = of.B * of.T * of.H
  const sequences = of.cuSeqlens ? of.cuSeqlens.length - 1 : of.B
  return {
    query: draw(tokens * of.D),
    key: draw(tokens * of.D),
    value: draw(tokens * of.Dv),
    logDecay: draw(decayCount(of), decays[of.decay]),
    initialState: of.initialState ? draw(sequences * of.H * of.D * of.Dv) : null,
  }
}

/** The shape of logDecay. */
export function decayShape({ B, T, H, D, decayPer }: GatedLinearCase): readonly number[] {
  return decayPer === 'head' ? [H] : decayPer === 'token' ? [B, T, H] : [B, T, H, D]
}

const decayCount = (of: GatedLinearCase) => decayShape(of).reduce((a, b) => a * b, 1)

const decays: Readonly<Record<DecayKind, (u: number) => number>> = {
  none: () => 0,
  slow: (u) => -0.0005 * (u + 1),
  mild: (u) => -0.05 * (u + 1),
  strong: (u) => -20 * (u + 1),
  reset: (u) => (u > 0.66 ? -1e9 : -0.01 * (u + 1)),
  closed: (u) => (u > 0.66 ? Number.NEGATIVE_INFINITY : -0.01 * (u + 1)),
}

/** Floating-point operations of the recurrence: what any form has to compute. */
export function gatedLinearFlops({ B, T, H, D, Dv }: GatedLinearCase): number {
  return 5 * B * T * H * D * Dv
}

/** Bytes that a call must read and write: inputs and output of `width` bytes each, decays and states in f32. */
export function gatedLinearBytes(of: GatedLinearCase, width: number): number {
  const tokens = of.B * of.T * of.H
  const sequences = of.cuSeqlens ? of.cuSeqlens.length - 1 : of.B
  const states = sequences * of.H * of.D * of.Dv * (of.initialState ? 2 : 1)
  return tokens * 2 * (of.D + of.Dv) * width + 4 * decayCount(of) + 4 * states
}
