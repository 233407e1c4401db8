import type { StepInput } from '../model/decoder-runner.ts'
import type { ActiveSequence } from './active-sequence.ts'
import { type PackedShare, packStep } from './pack-step.ts'

/** A sequence's share of a step: tokens from … from + count − 1 of its text and, behind it, its draft. */
export interface StepEntry {
  readonly sequence: ActiveSequence
  readonly from: number
  readonly count: number
  /** proposed next tokens that the step verifies; part of `count` */
  readonly draft: readonly number[]
  /** rows of logits: at the last `rows` tokens of the share; 0 while tokens of the text remain */
  readonly rows: number
}

export interface ScheduleLimits {
  /** most tokens of a step */
  readonly tokens: number
  /** most tokens of a share that counts as decode */
  readonly decodeQueries: number
}

/** The shares of a step: those that go through the prefill kernels, and those of few tokens that go through decode's. */
export interface Schedule {
  readonly prefill: readonly StepEntry[]
  readonly decode: readonly StepEntry[]
}

/**
 * Which tokens the next step computes: one of every sequence that decodes (and its draft), and in what is left of the step
 * a chunk of the oldest sequences whose texts are not computed yet. Long prompts so never hold up those who decode
 * (Agrawal et al., Sarathi-Serve, 2024, arXiv 2403.02310).
 */
export function scheduleStep(
  sequences: readonly ActiveSequence[],
  drafts: ReadonlyMap<ActiveSequence, readonly number[]>,
  limits: ScheduleLimits,
): Schedule {
  let left = limits.tokens
  const decode: StepEntry[] = []
  const prefill: StepEntry[] = []
  for (const sequence of sequences) {
    if (sequence.remaining !== 1 || left === 0) continue
    const draft = (drafts.get(sequence) ?? []).slice(0, Math.min(limits.decodeQueries, left) - 1)
    decode.push(entryOf(sequence, 1 + draft.length, draft))
    left -= 1 + draft.length
  }
  for (const sequence of sequences) {
    if (sequence.remaining <= 1 || left === 0) continue
    const count = Math.min(sequence.remaining, left)
    const share = count <= limits.decodeQueries ? decode : prefill
    share.push(entryOf(sequence, count, []))
    left -= count
  }
  return { prefill, decode }
}

function entryOf(sequence: ActiveSequence, count: number, draft: readonly number[]): StepEntry {
  const from = sequence.tokens.length - sequence.remaining
  const done = from + count >= sequence.tokens.length
  return { sequence, from, count, draft, rows: done ? 1 + draft.length : 0 }
}

/** The tokens of a share. */
export function entryTokens({ sequence, from, count, draft }: StepEntry): number[] {
  return [...sequence.tokens.slice(from, from + count - draft.length), ...draft]
}

/** The sequence and the position of the token to come of each row that a share asks for. */
export function entryRows({
  sequence,
  from,
  count,
  rows,
}: StepEntry): { sequence: ActiveSequence; position: number }[] {
  return Array.from({ length: rows }, (_, i) => ({ sequence, position: from + count - rows + i + 1 }))
}

/** A schedule as the decoder takes it; every sequence has its pages. */
export function stepInput({ prefill, decode }: Schedule): StepInput {
  const share = (entry: StepEntry): PackedShare => {
    const { pages } = entry.sequence
    if (!pages) throw new TypeError('a scheduled sequence has no pages')
    return { cached: pages, tokens: entryTokens(entry), count: entry.count, rows: entry.rows }
  }
  return packStep(prefill.map(share), decode.map(share))
}
