import type { EncoderResult, EncoderRunner, EncoderText } from '../../model/encoders/encoder-runner.ts'
import { FoveaError } from '../../tile/index.ts'

export interface RunTextsOptions {
  /** the function that was called, for errors */
  readonly where: string
  readonly signal: AbortSignal | null
  readonly onProgress: ((done: number, total: number) => void) | null
}

/**
 * Runs texts in packed steps, as many in each as fit, and gives the result of each in their order. Long texts go with long
 * ones. Rejects with `cancelled` when the signal is aborted, between steps.
 */
export async function runTexts(
  runner: EncoderRunner,
  texts: readonly EncoderText[],
  result: EncoderResult,
  { where, signal, onProgress }: RunTextsOptions,
): Promise<Float32Array[]> {
  const results: Float32Array[] = []
  let done = 0
  for (const step of packTexts(texts, runner.limits)) {
    if (signal?.aborted) throw new FoveaError('cancelled', where, `after ${done} of ${texts.length} texts`)
    const own = await runner.run(
      step.map((i) => texts[i] as EncoderText),
      result,
    )
    for (const [at, i] of step.entries()) results[i] = own[at] as Float32Array
    done += step.length
    onProgress?.(done, texts.length)
  }
  return results
}

/** Which texts go into which step: the longest first, each step filled as far as the next text fits. */
export function packTexts(
  texts: readonly EncoderText[],
  limits: { readonly tokens: number; readonly texts: number },
): number[][] {
  const length = (i: number) => texts[i]?.tokens.length ?? 0
  const order = [...texts.keys()].sort((a, b) => length(b) - length(a) || a - b)
  const steps: number[][] = []
  let free = 0
  for (const i of order) {
    const last = steps.at(-1)
    if (last && length(i) <= free && last.length < limits.texts) {
      last.push(i)
      free -= length(i)
    } else {
      steps.push([i])
      free = limits.tokens - length(i)
    }
  }
  return steps
}
