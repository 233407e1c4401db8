import type { AttentionCase } from '../../src/attention/attention-case.ts'
import type { Captured } from '../../src/attention/hooks.ts'
import type { Tensor } from '../../src/device/device.ts'
import { randomNumbers } from '../numerics/random.ts'
import type { CaseInput } from './run-attention-case.ts'

/** A case of the catalogue with random numbers in −2 … 2, the same for the same seed. */
export function catalogueCase(example: AttentionCase, seed: number): CaseInput {
  const { batch, queries, keys, numHeads, numKvHeads, headDim, valueDim } = example
  const next = randomNumbers(seed)
  const random = (...sizes: number[]) =>
    Float32Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, () => 2 * next())
  const captured = Object.entries(example.captured ?? {}).map(([name, { shape, integers, reach = 2 }]) => ({
    name,
    shape,
    data: integers ? Int32Array.from(integers) : random(...shape).map((x) => (x * reach) / 2),
  }))
  const plainCaptured = Object.fromEntries(captured.map(({ name, data }) => [name, data]))
  const { allowed, modify } = example.plain ?? {}
  return {
    batch,
    queries,
    keys,
    numHeads,
    numKvHeads,
    headDim,
    valueDim,
    query: random(batch, queries, numHeads, headDim),
    key: random(batch, keys, numKvHeads, headDim),
    value: random(batch, keys, numKvHeads, valueDim),
    sinks: example.sinks ? random(numHeads) : undefined,
    scale: example.scale,
    normalizer: example.normalizer?.name,
    cuSeqlensQ: example.cuSeqlensQ,
    cuSeqlensK: example.cuSeqlensK,
    allowed: allowed && ((position) => allowed(position, plainCaptured)),
    modify: modify && ((score, position) => modify(score, position, plainCaptured)),
    request: (device) => {
      const made = captured.map(({ name, data, shape }) => [name, device.tensor(data, shape)] as const)
      const byName: Readonly<Record<string, Captured & Tensor>> = Object.fromEntries(made)
      const { scale, normalizer, cuSeqlensQ, cuSeqlensK, blockMask } = example
      return {
        made: made.map(([, tensor]) => tensor),
        ...example.hooks?.(byName),
        ...(scale !== undefined && { scale }),
        ...(normalizer && { normalizer }),
        ...(cuSeqlensQ && { cuSeqlensQ }),
        ...(cuSeqlensK && { cuSeqlensK }),
        ...(blockMask && { blockMask }),
      }
    },
  }
}
