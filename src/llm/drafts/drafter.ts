import type { ActiveSequence } from '../active-sequence.ts'

/**
 * Proposes the next tokens of sequences, for one step to verify together. A proposal must be a function of the sequence's
 * tokens alone: the model then draws its own token at each place, by seed and position as always, and the proposal counts as
 * far as it foresaw them. So the tokens are those that would have been drawn without it, whatever it proposes (Leviathan,
 * Kalman and Matias, 2023, arXiv 2211.17192, for a proposal that is certain of its tokens).
 */
export interface Drafter {
  /** most tokens of a proposal */
  readonly most: number
  /** of device memory that it takes for itself */
  readonly bytes: number
  /** proposals, in the order of `sequences`, each of at most `room` tokens, [] for none */
  propose(
    sequences: readonly { readonly sequence: ActiveSequence; readonly room: number }[],
  ): Promise<readonly (readonly number[])[]>
  /** a sequence ended, or gave up its pages */
  forget(sequence: ActiveSequence): void
  release(): Promise<void>
}
