import { capturedNames, goldenCase } from './golden-case.ts'
import { readSafetensors } from './read-safetensors.ts'
import { swapTokensAndHeads } from './run-attention-case.ts'
import type { GradientInput } from './run-gradient-case.ts'

/** A recorded case of test/golden/attention with the gradients that arrive and those that must come out. */
export function goldenGradientCase(name: string, bytes: Uint8Array): GradientInput {
  const { tensors } = readSafetensors(bytes)
  // recorded as [B, H, T, D]
  const tokensFirst = (wanted: string) => {
    const found = tensors[wanted]
    if (!found) throw new Error(`goldenGradientCase: ${name} has no tensor ${wanted}`)
    const [batch, heads, tokens, width] = found.shape as [number, number, number, number]
    return swapTokensAndHeads(found.data, batch, heads, tokens, width)
  }
  const sinks = tensors.d_sinks?.data
  return {
    ...goldenCase(name, bytes),
    dOutput: tokensFirst('dOutput'),
    goldenGradients: {
      dQuery: tokensFirst('dQuery'),
      dKey: tokensFirst('dKey'),
      dValue: tokensFirst('dValue'),
      ...(sinks && { dSinks: sinks }),
    },
    goldenCaptured: capturedNames(tensors).map((key) => tensors[`d_${key}`]?.data ?? null),
  }
}
