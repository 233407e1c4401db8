/**
 * The x below which a share p of a standard normal distribution lies, 0 < p < 1: Newton's steps from 0 on
 * Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + …).
 */
export function normalQuantile(p: number): number {
  // Φ is concave above 0: steps from there never go too far
  if (p < 0.5) return -normalQuantile(1 - p)
  let x = 0
  for (let step = 0; step < 100; step++) {
    const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
    const next = x + (p - 0.5 - density * oddSeries(x)) / density
    if (!(Math.abs(next - x) > 1e-14 * (1 + x))) return next
    x = next
  }
  return x
}

function oddSeries(x: number): number {
  let [term, sum] = [x, x]
  for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) {
    term *= (x * x) / odd
    sum += term
  }
  return sum
}
