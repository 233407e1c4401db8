import type { Device, Tensor } from '../device/device.ts'
import type { DecoderRunner, StepTail } from '../model/decoder-runner.ts'
import { sample, sampleChunks } from '../nn/sample.ts'
import { type SamplingSettings, seenGenerated, seenInPrompt, settingsWidth } from '../nn/sampling/sampling-settings.ts'
import type { ActiveSequence } from './active-sequence.ts'
import type { GenerationEvent, TokenLogprob } from './generation.ts'

/** A row of logits of a step: whose it is, and the position of the token that is drawn from it. */
export interface SampledRow {
  readonly sequence: ActiveSequence
  readonly position: number
}

export interface SampledToken {
  /** −1 where the logits were no numbers */
  readonly token: number
  readonly logprob: GenerationEvent['logprob']
}

/** Bytes of the tensors of a sampler. */
export function tokenSamplerBytes(kind: Device['kind'], rows: number, slots: number, vocabSize: number): number {
  return 4 * (rows * (settingsWidth + 2 + 1 + 1 + 4 * sampleChunks(kind, vocabSize)) + slots * vocabSize)
}

/**
 * Draws the next tokens on the device, where the next step finds them; what is read back is a number for each row. The draw
 * depends on the seed of the request and the position of the token alone.
 */
export class TokenSampler implements StepTail {
  readonly #device: Device
  readonly #runner: DecoderRunner
  readonly #softCap: number | null
  readonly #vocabSize: number
  readonly #settings: Tensor // f32 [rows, settingsWidth]
  readonly #seeds: Tensor // u32 [rows, 2]
  readonly #slots: Tensor // i32 [rows]
  readonly #logprobs: Tensor // f32 [rows]
  readonly #counts: Tensor // i32 [slots, V]
  readonly #statistics: Tensor | null // f32 [rows, 4, chunks]
  #penalised = false

  constructor(device: Device, runner: DecoderRunner, slots: number) {
    const { rows } = runner.limits
    const { vocabSize, logits } = runner.weights.spec
    this.#device = device
    this.#runner = runner
    this.#softCap = logits.softCap
    this.#vocabSize = vocabSize
    this.#settings = device.zeros([rows, settingsWidth])
    this.#seeds = device.zeros([rows, 2], 'u32')
    this.#slots = device.zeros([rows], 'i32')
    this.#logprobs = device.zeros([rows])
    this.#counts = device.zeros([slots, vocabSize], 'i32')
    const chunks = sampleChunks(device.kind, vocabSize)
    this.#statistics = chunks > 0 ? device.zeros([rows, 4, chunks]) : null
  }

  get key(): string {
    return this.#penalised ? 'sample, penalised' : 'sample'
  }

  /** Counts what a sequence holds so far, where its request penalises that. */
  begin({ request, tokens, pages }: ActiveSequence): void {
    if (!pages || !isPenalised(request.sampling)) return
    const seen = new Int32Array(this.#vocabSize)
    tokens.forEach((token, i) => {
      if (i < request.prompt.length) seen[token] = (seen[token] as number) | seenInPrompt
      else seen[token] = (seen[token] as number) + seenGenerated
    })
    writeInto(this.#counts.slice(0, pages.row, pages.row + 1), seen)
  }

  /** Writes how the rows of the next step are drawn. */
  place(rows: readonly SampledRow[]): void {
    this.#penalised = rows.some(({ sequence }) => isPenalised(sequence.request.sampling))
    if (rows.length === 0) return
    const part = (tensor: Tensor) => tensor.slice(0, 0, rows.length)
    writeInto(part(this.#settings), Float32Array.from(rows.flatMap(({ sequence }) => sequence.settings)))
    writeInto(
      part(this.#seeds),
      Uint32Array.from(rows.flatMap(({ sequence, position }) => [sequence.request.sampling.seed, position])),
    )
    if (!this.#penalised) return
    // rows that are not penalised look at no counts: their settings undo nothing
    writeInto(part(this.#slots), Int32Array.from(rows.map(({ sequence }) => slotOf(sequence))))
  }

  enqueue(logits: Tensor): void {
    const rows = logits.shape[0] as number
    const views = [this.#settings, this.#seeds, this.#slots, this.#runner.ids, this.#logprobs].map((tensor) =>
      tensor.slice(0, 0, rows),
    )
    const [settings, seeds, slots, ids, logprobs] = views as [Tensor, Tensor, Tensor, Tensor, Tensor]
    const seen = this.#penalised ? { seen: { counts: this.#counts, slots } } : {}
    const statistics = this.#statistics?.slice(0, 0, rows)
    sample(this.#device, {
      logits,
      settings,
      seeds,
      softCap: this.#softCap,
      output: { ids, logprobs },
      ...seen,
      ...(statistics && { statistics }),
    })
    for (const view of views) view.dispose()
    statistics?.dispose()
  }

  /** The tokens of the step enqueued last. */
  async read(rows: readonly SampledRow[]): Promise<SampledToken[]> {
    const asked = rows.some(({ sequence }) => sequence.request.logprobs !== null)
    const tops = rows.map(({ sequence }, row) => (sequence.request.logprobs ? this.#runner.logitsRow(row) : null))
    const [ids, logprobs] = await Promise.all([
      readOf(this.#runner.ids.slice(0, 0, rows.length)),
      asked ? readOf(this.#logprobs.slice(0, 0, rows.length)) : null,
    ])
    const sampled: SampledToken[] = []
    for (const [row, { sequence }] of rows.entries()) {
      const token = ids[row] as number
      const wanted = sequence.request.logprobs
      const logits = await tops[row]
      const top = logits && wanted ? this.#mostLikely(logits, wanted) : []
      const logprob = wanted === null ? null : { token, logprob: logprobs?.[row] as number, top }
      if (token >= 0 && isPenalised(sequence.request.sampling)) this.#count(sequence, token)
      sampled.push({ token, logprob })
    }
    return sampled
  }

  dispose(): void {
    for (const tensor of [this.#settings, this.#seeds, this.#slots, this.#logprobs, this.#counts]) tensor.dispose()
    this.#statistics?.dispose()
  }

  /** The token that was just drawn counts from the next step on. */
  #count(sequence: ActiveSequence, token: number): void {
    const prompt = sequence.request.prompt.includes(token) ? seenInPrompt : 0
    const before = sequence.completion.filter((other) => other === token).length
    const row = this.#counts.slice(0, slotOf(sequence), slotOf(sequence) + 1)
    writeInto(row.slice(1, token, token + 1), Int32Array.of(prompt + seenGenerated * (before + 1)))
    row.dispose()
  }

  #mostLikely(logits: Float32Array, count: number): TokenLogprob[] {
    const cap = this.#softCap
    const values = cap === null ? logits : logits.map((x) => cap * Math.tanh(x / cap))
    const highest = values.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY)
    const total = values.reduce((sum, x) => sum + Math.exp(x - highest), 0)
    const order = Array.from(values, (_, token) => token).sort(
      (a, b) => (values[b] as number) - (values[a] as number) || a - b,
    )
    return order
      .slice(0, count)
      .map((token) => ({ token, logprob: (values[token] as number) - highest - Math.log(total) }))
  }
}

/** Does a request lower the scores of tokens that occurred? */
export function isPenalised({
  repetitionPenalty = 1,
  presencePenalty = 0,
  frequencyPenalty = 0,
}: SamplingSettings): boolean {
  return repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0
}

function slotOf({ pages }: ActiveSequence): number {
  return pages?.row ?? -1
}

function writeInto(view: Tensor, data: Float32Array | Int32Array | Uint32Array): void {
  view.write(data)
  view.dispose()
}

async function readOf(view: Tensor): Promise<ArrayLike<number>> {
  try {
    return await view.read()
  } finally {
    view.dispose()
  }
}
