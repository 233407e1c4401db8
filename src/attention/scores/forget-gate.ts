import type { Captured, ScoreMod } from '../hooks.ts'

/**
 * score + c[head, q] − c[head, k], where c is the running sum of log forget gates (Lin et al., "Forgetting Transformer",
 * 2025, arXiv 2503.02130, equation 4). `cumLogForget` is f32 [H, T], or [B, H, T]; meant with the causal mask.
 */
export function forgetGate(cumLogForget: Captured): ScoreMod {
  const shared = cumLogForget.shape.length === 2
  return ({ score, q, k, head, batch }) =>
    shared
      ? score.add(cumLogForget.at(head, q).sub(cumLogForget.at(head, k)))
      : score.add(cumLogForget.at(batch, head, q).sub(cumLogForget.at(batch, head, k)))
}
