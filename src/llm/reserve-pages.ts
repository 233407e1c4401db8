import { FoveaError } from '../tile/index.ts'
import type { ActiveSequence } from './active-sequence.ts'
import type { Schedule, StepEntry } from './schedule-step.ts'

/** What may happen to sequences when pages run out. */
export interface PageTroubles {
  /** in the order in which they were admitted, as of now */
  running(): readonly ActiveSequence[]
  /** gives up its pages and waits */
  giveUp(sequence: ActiveSequence): void
  /** ends with an error: it is alone and will find no more room later either */
  fail(sequence: ActiveSequence, error: unknown): void
}

/**
 * Takes the pages that a step writes, for the oldest sequences first; while there are none, the youngest gives up its own. What
 * then has no pages is left out of the step.
 */
export function reservePages(schedule: Schedule, troubles: PageTroubles): Schedule {
  const age = new Map(troubles.running().map((sequence, i) => [sequence, i]))
  const entries = [...schedule.decode, ...schedule.prefill]
  entries.sort((a, b) => (age.get(a.sequence) ?? 0) - (age.get(b.sequence) ?? 0))
  const kept = new Set<StepEntry>()
  for (const entry of entries) {
    const { sequence, count } = entry
    while (sequence.pages && !kept.has(entry))
      try {
        sequence.pages.reserve(count)
        kept.add(entry)
      } catch (error) {
        if (!(error instanceof FoveaError && error.code === 'capacity')) throw error
        const running = troubles.running()
        const youngest = running.at(-1)
        if (youngest && running.length > 1) troubles.giveUp(youngest)
        else troubles.fail(sequence, error)
      }
  }
  const stays = (entry: StepEntry) => kept.has(entry) && entry.sequence.pages !== null
  return { prefill: schedule.prefill.filter(stays), decode: schedule.decode.filter(stays) }
}
