import type { Tensor } from '../device/device.ts'
import type { Checkpoint } from '../model/checkpoint.ts'
import type { ModelSource } from '../model/source/resolve-model-source.ts'
import { tokenLogLikelihood } from '../nn/token-log-likelihood.ts'
import { checkFields, type FieldsOf, FoveaError } from '../tile/index.ts'
import { type EngineOptions, engineOptionFields } from './engine-options.ts'
import { type ModelParts, openParts } from './open-parts.ts'
import { packStep } from './pack-step.ts'

export interface EvaluateTextOptions extends Omit<EngineOptions, 'onProgress'> {
  /** at most this many tokens of the text (all) */
  readonly maxTokens?: number
  readonly onProgress?: (done: number, total: number, nats: number) => void
  readonly signal?: AbortSignal
}

/** Mean negative log-likelihood of the tokens at positions from … to − 1 of their windows. */
export interface PositionLoss {
  readonly from: number
  readonly to: number
  readonly tokens: number
  readonly nats: number
}

export interface TextEvaluation {
  /** tokens that were scored: all but the first of each window */
  readonly tokens: number
  readonly windows: number
  /** mean negative log-likelihood of a token, in nats, and e to that power */
  readonly nats: number
  readonly perplexity: number
  /** the same by UTF-8 byte of the text, in bits; null for token ids */
  readonly bitsPerByte: number | null
  /** by position in the window: 1 … 15, 16 … 31, 32 … 63 and so on, by doubling */
  readonly byPosition: readonly PositionLoss[]
  readonly seconds: number
}

/**
 * How well a model foretells a text: −log p(token | the tokens before it in its window), over windows of `contextLength` tokens
 * that each begin with the model's begin token, if it has one. Rejects with what `openEngine` rejects with, `argument` for a
 * text of less than two tokens, `cancelled`.
 */
export async function evaluateText(
  model: ModelSource | Checkpoint,
  text: string | readonly number[],
  options: EvaluateTextOptions = {},
): Promise<TextEvaluation> {
  checkFields('evaluateText', 'options', options, fields)
  // its progress is that of the evaluation
  const { onProgress: _, maxTokens: __, ...given } = options
  const parts = await openParts(model, { ...given, maxSequences: 1, sharePrefixes: false }, 'score')
  const { device } = parts
  const rows = parts.runner.limits.rows
  const targets = device.zeros([rows], 'i32')
  const output = device.zeros([rows])
  try {
    return await scoreText(parts, text, options, { targets, output })
  } finally {
    targets.dispose()
    output.dispose()
    await parts.release()
  }
}

async function scoreText(
  parts: ModelParts,
  text: string | readonly number[],
  options: EvaluateTextOptions,
  tensors: { readonly targets: Tensor; readonly output: Tensor },
): Promise<TextEvaluation> {
  const where = 'evaluateText'
  const { checkpoint, plan } = parts
  const { bosToken } = checkpoint.tokenizer
  const all = typeof text === 'string' ? checkpoint.tokenizer.encode(text, { special: false }) : text
  const tokens = all.slice(0, options.maxTokens ?? all.length)
  if (tokens.length < 2)
    throw new FoveaError('argument', where, `a text of at least two tokens is needed, got ${tokens.length}`)
  const start = performance.now()
  const share = plan.options.contextLength - (bosToken === null ? 0 : 1)
  const sums: { tokens: number; nats: number }[] = []
  let [windows, done] = [0, 0]
  for (let from = 0; from < tokens.length; from += share) {
    const part = tokens.slice(from, from + share)
    const window = bosToken === null ? part : [bosToken, ...part]
    if (window.length < 2) continue
    windows++
    await scoreWindow(
      parts,
      tensors,
      window,
      (position, logLikelihood) => {
        const bucket = Math.max(0, Math.floor(Math.log2(position)) - 3)
        const sum = sums[bucket] ?? { tokens: 0, nats: 0 }
        sums[bucket] = sum
        sum.tokens++
        sum.nats -= logLikelihood
        done++
      },
      () => {
        if (options.signal?.aborted) throw new FoveaError('cancelled', where, `after ${done} tokens`)
        const nats = sums.reduce((sum, bucket) => sum + (bucket?.nats ?? 0), 0)
        options.onProgress?.(done, tokens.length, nats / Math.max(1, done))
      },
    )
  }
  const nats = sums.reduce((sum, bucket) => sum + (bucket?.nats ?? 0), 0)
  const scored = tokens.slice(bosToken === null ? 1 : 0)
  const bytes = typeof text === 'string' ? new TextEncoder().encode(checkpoint.tokenizer.decode(scored)).length : null
  return {
    tokens: done,
    windows,
    nats: nats / done,
    perplexity: Math.exp(nats / done),
    bitsPerByte: bytes === null ? null : nats / Math.LN2 / bytes,
    byPosition: [...sums.entries()].flatMap(([bucket, sum]) =>
      sum
        ? [{ from: bucket === 0 ? 1 : 8 << bucket, to: 16 << bucket, tokens: sum.tokens, nats: sum.nats / sum.tokens }]
        : [],
    ),
    seconds: (performance.now() - start) / 1000,
  }
}

/** Runs a window through the model, a chunk at a time, and gives the log-likelihood of each token after the first. */
async function scoreWindow(
  { runner, cache, checkpoint }: ModelParts,
  tensors: { readonly targets: Tensor; readonly output: Tensor },
  window: readonly number[],
  take: (position: number, logLikelihood: number) => void,
  onChunk: () => void,
): Promise<void> {
  const sequence = cache.open([])
  const { softCap } = checkpoint.spec.logits
  try {
    for (let from = 0; from < window.length - 1; ) {
      const count = Math.min(runner.limits.tokens, window.length - 1 - from)
      sequence.reserve(count)
      cache.flush()
      const wanted = tensors.targets.slice(0, 0, count)
      const result = tensors.output.slice(0, 0, count)
      try {
        wanted.write(Int32Array.from(window.slice(from + 1, from + 1 + count)))
        const ids = window.slice(from, from + count)
        const share = [{ cached: sequence, tokens: ids, count, rows: count }]
        runner.run(count > 1 ? packStep(share, []) : packStep([], share), {
          key: 'score',
          enqueue: (logits) => {
            const rows = logits.shape[0] as number
            const views = [tensors.targets.slice(0, 0, rows), tensors.output.slice(0, 0, rows)] as const
            tokenLogLikelihood(runner.device, { logits, targets: views[0], softCap, output: views[1] })
            for (const view of views) view.dispose()
          },
        })
        sequence.append(ids)
        const values = await result.read()
        for (let i = 0; i < count; i++) take(from + i + 1, values[i] as number)
      } finally {
        wanted.dispose()
        result.dispose()
      }
      from += count
      onChunk()
    }
  } finally {
    sequence.close({ keep: false })
  }
}

const fields: FieldsOf<EvaluateTextOptions> = { ...engineOptionFields, maxTokens: true, onProgress: true, signal: true }
