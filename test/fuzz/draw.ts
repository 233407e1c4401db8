import { randomNumbers } from '../numerics/random.ts'

/** Choices that are the same for the same seed. */
export interface Draw {
  /** a whole number from 0 to `below` − 1 */
  below(below: number): number
  chance(probability: number): boolean
  pick<T>(of: readonly T[]): T
}

export function drawOf(seed: number): Draw {
  const random = randomNumbers(seed)
  const unit = () => (random() + 1) / 2
  // the first numbers of neighbouring seeds are alike
  for (let i = 0; i < 4; i++) random()
  const below = (most: number) => Math.min(Math.floor(unit() * most), Math.max(0, most - 1))
  return {
    below,
    chance: (probability) => unit() < probability,
    pick: <T>(of: readonly T[]) => of[below(of.length)] as T,
  }
}
