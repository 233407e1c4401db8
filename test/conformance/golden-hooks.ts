import type { PlainHooks } from '../../src/attention/attention-case.ts'
import type { Captured, MaskMod, ScoreMod } from '../../src/attention/hooks.ts'
import * as masks from '../../src/attention/masks/index.ts'
import type { Normalizer } from '../../src/attention/normalizers/index.ts'
import { sigmoid, softpick } from '../../src/attention/normalizers/index.ts'
import * as scores from '../../src/attention/scores/index.ts'

/** How a recorded case is asked of `attention`, and of the reference: `captured` by name, `meta` the file's metadata. */
export interface GoldenHooks {
  readonly normalizer?: Normalizer & { readonly name: 'softmax' | 'softpick' | 'sigmoid' }
  readonly maskMod?: (captured: Readonly<Record<string, Captured>>, meta: Meta) => MaskMod
  readonly scoreMod?: (captured: Readonly<Record<string, Captured>>, meta: Meta) => ScoreMod
  readonly plain?: (meta: Meta) => PlainHooks
}
type Meta = Readonly<Record<string, unknown>>

const number = (meta: Meta, name: string) => meta[name] as number
const causal: GoldenHooks = {
  maskMod: () => masks.causal,
  plain: () => ({ allowed: ({ q, k }) => k <= q }),
}
const causalWith = (hooks: GoldenHooks): GoldenHooks => ({ ...causal, ...hooks })

/** The cases of test/golden/attention by file name. */
export const goldenHooks: Readonly<Record<string, GoldenHooks>> = {
  'alibi-causal': causalWith({
    scoreMod: ({ slopes }) => scores.alibi(slopes as Captured),
    plain: () => ({
      allowed: ({ q, k }) => k <= q,
      modify: (s, { q, k, head }, { slopes }) => s + (slopes?.[head] as number) * (k - q),
    }),
  }),
  bias: {
    scoreMod: ({ bias }) => scores.denseBias(bias as Captured),
    plain: () => ({
      modify: (s, { q, k, head, qLength, kLength }, { bias }) =>
        s + (bias?.[(head * qLength + q) * kLength + k] as number),
    }),
  },
  causal,
  'causal-bottom-right': {
    maskMod: (_, meta) => masks.causalOffset(number(meta, 'offset')),
    plain: (meta) => ({ allowed: ({ q, k }) => k <= q + number(meta, 'offset') }),
  },
  'causal-gqa': causal,
  'causal-mqa': causal,
  cross: {},
  dilated: {
    maskMod: (_, meta) => masks.dilated(number(meta, 'window'), number(meta, 'dilation')),
    plain: (meta) => ({
      allowed: ({ q, k }) => q >= k && q - k <= number(meta, 'window') && (q - k) % number(meta, 'dilation') === 0,
    }),
  },
  document: {
    maskMod: ({ document }) => masks.document(document as Captured),
    plain: () => ({ allowed: ({ q, k }, { document }) => document?.[q] === document?.[k] }),
  },
  'document-causal': {
    maskMod: ({ document }) => masks.causal.and(masks.document(document as Captured)),
    plain: () => ({ allowed: ({ q, k }, { document }) => k <= q && document?.[q] === document?.[k] }),
  },
  'empty-rows': {
    maskMod: () => masks.causalOffset(-4),
    plain: () => ({ allowed: ({ q, k }) => k <= q - 4 }),
  },
  'forget-gate': causalWith({
    scoreMod: ({ cumLogForget }) => scores.forgetGate(cumLogForget as Captured),
    plain: () => ({
      allowed: ({ q, k }) => k <= q,
      modify: (s, { q, k, head, qLength }, { cumLogForget: c }) =>
        s + (c?.[head * qLength + q] as number) - (c?.[head * qLength + k] as number),
    }),
  }),
  'global-sliding': {
    maskMod: (_, meta) => masks.globalSliding(number(meta, 'global'), number(meta, 'left')),
    plain: (meta) => ({
      allowed: ({ q, k }) =>
        k < number(meta, 'global') || q < number(meta, 'global') || Math.abs(q - k) <= number(meta, 'left'),
    }),
  },
  'headdim-128': causal,
  'headdim-80': causal,
  'natten-2d': {
    maskMod: (_, meta) => masks.neighborhood2d(number(meta, 'height'), number(meta, 'width'), number(meta, 'kernel')),
    plain: (meta) => {
      const [height, width, radius] = [number(meta, 'height'), number(meta, 'width'), (number(meta, 'kernel') - 1) / 2]
      const near = (q: number, k: number, n: number) =>
        Math.abs(k - Math.min(Math.max(q, radius), n - 1 - radius)) <= radius
      return {
        allowed: ({ q, k }) =>
          near(Math.floor(q / width), Math.floor(k / width), height) && near(q % width, k % width, width),
      }
    },
  },
  noop: {},
  one: {},
  'prefix-lm-20': {
    maskMod: (_, meta) => masks.causal.or(masks.prefix(number(meta, 'prefix'))),
    plain: (meta) => ({ allowed: ({ q, k }) => k <= q || k < number(meta, 'prefix') }),
  },
  'relative-bias': {
    scoreMod: ({ table }, meta) => scores.relativeTable(table as Captured, number(meta, 'offset')),
    plain: (meta) => ({
      modify: (s, { q, k, head }, { table }) => s + (table?.[head * 99 + k - q + number(meta, 'offset')] as number),
    }),
  },
  'sigmoid-causal': { ...causal, normalizer: sigmoid as GoldenHooks['normalizer'] & {} },
  'single-query': {},
  'sinks-causal': causal,
  'sinks-window': {
    maskMod: (_, meta) => masks.slidingWindow(number(meta, 'left')),
    plain: (meta) => ({ allowed: ({ q, k }) => k <= q && q - k <= number(meta, 'left') }),
  },
  'softcap-20': {
    scoreMod: (_, meta) => scores.softCap(number(meta, 'softcap')),
    plain: (meta) => ({ modify: (s) => number(meta, 'softcap') * Math.tanh(s / number(meta, 'softcap')) }),
  },
  'softcap-causal-scale': causalWith({
    scoreMod: (_, meta) => scores.softCap(number(meta, 'softcap')),
    plain: (meta) => ({
      allowed: ({ q, k }) => k <= q,
      modify: (s) => number(meta, 'softcap') * Math.tanh(s / number(meta, 'softcap')),
    }),
  }),
  'softpick-causal': { ...causal, normalizer: softpick as GoldenHooks['normalizer'] & {} },
  'window-13': {
    maskMod: (_, meta) => masks.slidingWindow(number(meta, 'left'), number(meta, 'right')),
    plain: (meta) => ({ allowed: ({ q, k }) => k >= q - number(meta, 'left') && k <= q + number(meta, 'right') }),
  },
  'window-7-3': {
    maskMod: (_, meta) => masks.slidingWindow(number(meta, 'left'), number(meta, 'right')),
    plain: (meta) => ({ allowed: ({ q, k }) => k >= q - number(meta, 'left') && k <= q + number(meta, 'right') }),
  },
}
