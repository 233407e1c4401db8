import type { Captured } from '../../src/attention/hooks.ts'
import type { Tensor } from '../../src/device/device.ts'
import { goldenHooks } from './golden-hooks.ts'
import { readSafetensors } from './read-safetensors.ts'
import { type CaseInput, swapTokensAndHeads } from './run-attention-case.ts'

const inputs = new Set(['query', 'key', 'value', 'sinks', 'output', 'lse', 'dOutput', 'dQuery', 'dKey', 'dValue'])

/** Names of the tensors that a recorded case's hooks capture, in the order in which `goldenCase` makes them. */
export function capturedNames(tensors: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(tensors).filter((key) => !inputs.has(key) && !key.startsWith('d_'))
}

/** A recorded case of test/golden/attention as an input, with the recorded results. Throws for a name without hooks. */
export function goldenCase(name: string, bytes: Uint8Array): CaseInput {
  const hooks = goldenHooks[name]
  if (!hooks) throw new Error(`goldenCase: no hooks for ${name} in golden-hooks.ts`)
  const { metadata, tensors } = readSafetensors(bytes)
  const tensor = (wanted: string) => {
    const found = tensors[wanted]
    if (!found) throw new Error(`goldenCase: ${name} has no tensor ${wanted}`)
    return found
  }
  // recorded as [B, H, T, D]
  const tokensFirst = (wanted: string) => {
    const { shape, data } = tensor(wanted)
    const [batch, heads, tokens, width] = shape as [number, number, number, number]
    return swapTokensAndHeads(data, batch, heads, tokens, width)
  }
  const [batch, numHeads, queries, headDim] = tensor('query').shape as [number, number, number, number]
  const [, numKvHeads, keys] = tensor('key').shape as [number, number, number, number]
  const captured = capturedNames(tensors).map((key) => [key, tensor(key)] as const)
  const plainCaptured = Object.fromEntries(captured.map(([key, { data }]) => [key, data]))
  const plain = hooks.plain?.(metadata) ?? {}
  const scale = metadata.scale as number
  return {
    batch,
    queries,
    keys,
    numHeads,
    numKvHeads,
    headDim,
    valueDim: tensor('value').shape[3] as number,
    query: tokensFirst('query'),
    key: tokensFirst('key'),
    value: tokensFirst('value'),
    scale,
    sinks: tensors.sinks?.data,
    normalizer: hooks.normalizer?.name,
    allowed: plain.allowed && ((position) => plain.allowed?.(position, plainCaptured) ?? true),
    modify: plain.modify && ((score, position) => plain.modify?.(score, position, plainCaptured) ?? score),
    golden: { output: tokensFirst('output'), lse: tensors.lse?.data ?? null },
    request: (device) => {
      const made = captured.map(([key, { data, shape }]) => [key, device.tensor(data, shape)] as const)
      const byName: Readonly<Record<string, Captured & Tensor>> = Object.fromEntries(made)
      return {
        made: made.map(([, made]) => made),
        scale,
        ...(hooks.maskMod && { maskMod: hooks.maskMod(byName, metadata) }),
        ...(hooks.scoreMod && { scoreMod: hooks.scoreMod(byName, metadata) }),
        ...(hooks.normalizer && { normalizer: hooks.normalizer }),
      }
    },
  }
}
