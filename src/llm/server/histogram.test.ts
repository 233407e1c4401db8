import { expect, it } from 'vitest'
import { Histogram } from './histogram.ts'

it('counts in each bucket all that are at most its bound', () => {
  const histogram = new Histogram([0.1, 1, 10])
  expect(histogram.mean).toBe(0)
  for (const value of [0.05, 0.1, 0.5, 10, 11]) histogram.observe(value)
  expect(histogram.lines('t')).toEqual([
    't_bucket{le="0.1"} 2',
    't_bucket{le="1"} 3',
    't_bucket{le="10"} 4',
    't_bucket{le="+Inf"} 5',
    't_sum 21.65',
    't_count 5',
  ])
  expect(histogram.mean).toBeCloseTo(4.33)
})
