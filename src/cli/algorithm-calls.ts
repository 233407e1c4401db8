import { catalogue, type LinearCatalogueEntry, linearCatalogue } from '../attention/catalogue.ts'
import type { MaskMod, ScoreMod } from '../attention/hooks.ts'
import { attention } from '../attention/index.ts'
import { mergeStates } from '../attention/softmax/merge-states.ts'
import type { Device } from '../device/device.ts'
import type { StorageDType } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import { matmul } from '../nn/matmul.ts'
import { rmsNorm } from '../nn/rms-norm.ts'
import type { CallShape } from './call-shape.ts'

export interface CallRequest {
  readonly shape: CallShape
  readonly dtype: StorageDType
  readonly maskMod: MaskMod | null
  readonly scoreMod: ScoreMod | null
}

/** An algorithm as a user calls it: inputs are made with `device.empty`, then the public function is called once. */
export interface AlgorithmCall {
  readonly summary: string
  /** which sizes it has, with what they are when not given */
  readonly defaults: Partial<CallShape>
  /** does it take masks and score functions? */
  readonly hooks: boolean
  /** Makes the inputs and returns the call itself. */
  prepare(device: Device, request: CallRequest): () => unknown
}

/** Prefill and decoding are one function, which chooses by the number of queries. */
const attentionCall = (device: Device, { shape, dtype, maskMod, scoreMod }: CallRequest) => {
  const { B, T, S, H, Hkv, D, Dv } = shape
  const query = device.empty([B, T, H, D], dtype)
  const key = device.empty([B, S, Hkv, D], dtype)
  const value = device.empty([B, S, Hkv, Dv], dtype)
  return () => attention(device, { query, key, value, ...(maskMod && { maskMod }), ...(scoreMod && { scoreMod }) })
}

/** A linear algorithm with the form of decay that its first case has. */
const linearCall = ({ run, summary, cases }: LinearCatalogueEntry): AlgorithmCall => ({
  summary,
  defaults: { T: 1024 },
  hooks: false,
  prepare(device, { shape: { B, T, H, D, Dv }, dtype }) {
    const decays = { channel: [B, T, H, D], token: [B, T, H], head: [H] }
    const query = device.empty([B, T, H, D], dtype)
    const key = device.empty([B, T, H, D], dtype)
    const value = device.empty([B, T, H, Dv], dtype)
    const logDecay = device.empty(decays[cases[0]?.decayPer ?? 'channel'])
    return () => run(device, { query, key, value, logDecay })
  },
})

/** Sizes of catalogue entries where they are not those of prefill. */
const longCache: Partial<CallShape> = { T: 1, S: 16_384 }

const calls: Readonly<Record<string, AlgorithmCall>> = {
  ...Object.fromEntries(
    catalogue.map(({ name, summary }) => [
      name,
      { summary, defaults: name === 'split-kv' ? longCache : { T: 1024 }, hooks: true, prepare: attentionCall },
    ]),
  ),
  'merge-states': {
    summary: 'two attention states as one',
    defaults: { T: 1024 },
    hooks: false,
    prepare(device, { shape: { B, T, H, Dv }, dtype }) {
      const state = () => ({ output: device.empty([B, T, H, Dv], dtype), lse: device.empty([B, H, T]) })
      const [a, b] = [state(), state()]
      return () => mergeStates(device, a, b)
    },
  },
  ...Object.fromEntries(linearCatalogue.map((entry) => [entry.name, linearCall(entry)])),
  matmul: {
    summary: 'matrix product [T, D] · [D, S]',
    defaults: { T: 1024, S: 1024, D: 1024 },
    hooks: false,
    prepare(device, { shape: { T, S, D }, dtype }) {
      const [a, b] = [device.empty([T, D], dtype), device.empty([D, S], dtype)]
      return () => matmul(device, { a, b })
    },
  },
  'rms-norm': {
    summary: 'row normalisation of [B, T, D]',
    defaults: { T: 1024, D: 1024 },
    hooks: false,
    prepare(device, { shape: { B, T, D }, dtype }) {
      const [x, weight] = [device.empty([B, T, D], dtype), device.empty([D], dtype)]
      return () => rmsNorm(device, { x, weight })
    },
  },
}

export const algorithmNames: readonly string[] = Object.keys(calls)

/** The call of a named algorithm; throws `argument` in the name of `where`. */
export function algorithmCall(where: string, name: string): AlgorithmCall {
  const call = Object.hasOwn(calls, name) ? calls[name] : undefined
  if (!call) throw new FoveaError('argument', where, `no algorithm '${name}'; there are ${algorithmNames.join(', ')}`)
  return call
}
