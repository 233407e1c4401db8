/**
 * Where two specifications say different things ("layers.3.attention.window"), undefined where nowhere: numbers by a
 * relative 1e-5, which the f32 of files leaves of a frequency, functions by identity. Offsets of norms are left out: they
 * are in the weights of one file and not of another.
 */
export function specDifference(one: unknown, other: unknown, path = ''): string | undefined {
  if (Object.is(one, other)) return undefined
  if (typeof one === 'number' && typeof other === 'number')
    return Math.abs(one - other) <= 1e-5 * Math.max(Math.abs(one), Math.abs(other)) ? undefined : path
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return path
  const [left, right] = [new Map(Object.entries(one)), new Map(Object.entries(other))]
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    if (key === 'offset') continue
    const found = specDifference(left.get(key), right.get(key), path === '' ? key : `${path}.${key}`)
    if (found !== undefined) return found
  }
  return undefined
}
