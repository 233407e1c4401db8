/** Round numbers from `low` to `high`, about `count` of them: steps of 1, 2 or 5 times a power of ten. */
export function linearTicks(low: number, high: number, count = 5): readonly number[] {
  const rough = (high - low) / count
  if (!(rough > 0)) return [low]
  const power = 10 ** Math.floor(Math.log10(rough))
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough) ?? 10
  const step = factor * power
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** Powers of ten in a range, or 1, 2 and 5 times them where there are few. */
export function logTicks(low: number, high: number): readonly number[] {
  const from = Math.floor(Math.log10(low))
  const to = Math.ceil(Math.log10(high))
  const factors = to - from <= 2 ? [1, 2, 5] : [1]
  const every = Math.max(1, Math.ceil((to - from) / 6))
  const ticks: number[] = []
  for (let power = from; power <= to; power += every)
    for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(6)))
  return ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
}

/** 12,000 → "12k", 0.0003 → "3e-4" */
export function tickText(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`
  if (size !== 0 && size < 1e-2) return value.toExponential().replace(/(\.\d\d)\d*e/, '$1e')
  return String(Number(value.toPrecision(4)))
}
