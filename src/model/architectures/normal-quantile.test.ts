import { expect, it } from 'vitest'
import { normalQuantile } from './normal-quantile.ts'

it('quantiles of the normal distribution, as tables have them', () => {
  const known = [
    [0.5, 0],
    [0.9, 1.2815515655446004],
    [0.95, 1.6448536269514722],
    [0.975, 1.959963984540054],
    [0.99, 2.3263478740408408],
    [0.999, 3.090232306167813],
    [1 - 1e-6, 4.753424308822899],
  ] as const
  for (const [p, x] of known) {
    expect(normalQuantile(p)).toBeCloseTo(x, p > 0.9999 ? 8 : 12)
    expect(normalQuantile(1 - p)).toBeCloseTo(-x, p > 0.9999 ? 8 : 12)
  }
})
