import { uniformNumbers } from '../llm/uniform-numbers.ts'

/** `count` numbers drawn from a normal distribution; the same seed gives the same numbers on every machine. */
export function randomNormal(count: number, seed: number): Float32Array<ArrayBuffer> {
  const next = uniformNumbers(seed)
  const values = new Float32Array(count)
  // Box and Muller: two numbers from one radius
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()))
    const angle = 2 * Math.PI * next()
    values[i] = radius * Math.cos(angle)
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle)
  }
  return values
}
