import { expect, it } from 'vitest'
import { defineProgram, type Program, scalar, store } from '../tile/index.ts'
import { ProgramCache } from './program-cache.ts'

const constant = (value: number): Program =>
  defineProgram('constant', (p) => p.emit(store(p.output('y', 'f32', [null]), [0], scalar(value))))

it('shares what programs that say the same became, and gives up the longest unused of more than 512', () => {
  const dropped: number[] = []
  const cache = new ProgramCache<number>((value) => void dropped.push(value))
  const programs = Array.from({ length: 515 }, (_, i) => constant(i))
  const program = (i: number) => programs[i] as Program
  for (let i = 0; i < 512; i++) cache.set(program(i), i)
  expect(dropped).toEqual([])
  // anew, but the same text
  expect(cache.get(constant(0))).toBe(0)
  for (let i = 512; i < 515; i++) cache.set(program(i), i)
  expect(dropped).toEqual([1, 2, 3])
  expect([0, 1, 3, 4, 514].map((i) => cache.get(program(i)))).toEqual([0, undefined, undefined, 4, 514])
  cache.delete(program(4))
  expect(cache.get(program(4))).toBe(undefined)
  expect(dropped).toEqual([1, 2, 3])
})
