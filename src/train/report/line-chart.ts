import { linearTicks, logTicks, tickText } from './axis-ticks.ts'
import { escapeHtml } from './escape-html.ts'

export interface ChartSeries {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
  /** which of the page's colours */
  readonly color: number
  /** faint: what is behind a smoothed line; marks: single points joined by a line */
  readonly style?: 'line' | 'faint' | 'marks'
}

export interface ChartOptions {
  readonly title: string
  readonly series: readonly ChartSeries[]
  readonly logarithmic?: boolean
  /** the vertical axis reaches at least so far */
  readonly include?: readonly number[]
}

const [width, height] = [560, 240]
const margin = { left: 52, right: 22, top: 10, bottom: 26 }
/** more points than this cannot be told apart */
const mostPoints = 500

/** Curves over steps as an SVG with its heading and legend; nothing for series without points. */
export function lineChart({ title, series, logarithmic = false, include = [] }: ChartOptions): string {
  const usable = series
    .map((one) => ({ ...one, points: one.points.filter(([, y]) => Number.isFinite(y) && (!logarithmic || y > 0)) }))
    .filter(({ points }) => points.length > 0)
  if (usable.length === 0) return ''
  // a single outlier behind a smoothed curve does not flatten it
  const deciding = usable.filter(({ style }) => style !== 'faint')
  const all = (deciding.length > 0 ? deciding : usable).flatMap(({ points }) => points)
  const xs = rangeOf(all.map(([x]) => x))
  const ys = widened(rangeOf([...all.map(([, y]) => y), ...include]), logarithmic)
  const at = (x: number) => margin.left + ((x - xs[0]) / (xs[1] - xs[0] || 1)) * (width - margin.left - margin.right)
  const lift = (y: number) => (logarithmic ? Math.log(y) : y)
  const up = (y: number) => {
    const shown = Math.min(ys[1], Math.max(ys[0], y))
    const part = (lift(shown) - lift(ys[0])) / (lift(ys[1]) - lift(ys[0]) || 1)
    return height - margin.bottom - part * (height - margin.top - margin.bottom)
  }
  const ticks = logarithmic ? logTicks(...ys) : linearTicks(...ys)
  const rows = ticks.map((tick) => {
    const y = up(tick).toFixed(1)
    const line = `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${y}" y2="${y}"/>`
    return `${line}<text class="tick" x="${margin.left - 6}" y="${y}" dy="0.32em" text-anchor="end">${tickText(tick)}</text>`
  })
  const columns = linearTicks(...xs, 6).map(
    (tick) =>
      `<text class="tick" x="${at(tick).toFixed(1)}" y="${height - 8}" text-anchor="middle">${tickText(tick)}</text>`,
  )
  const curves = usable.map(({ points, color, style = 'line', name }) => {
    const shown = thinned(points)
    const places = shown.map(([x, y]) => `${at(x).toFixed(1)},${up(y).toFixed(1)}`)
    const line = `<polyline class="curve ${style} c${color}" points="${places.join(' ')}"><title>${escapeHtml(name)}</title></polyline>`
    const last = shown.at(-1)
    if (style === 'faint' || !last) return line
    const marks = style === 'marks' ? shown : shown.length === 1 ? shown : []
    return (
      line +
      marks
        .map(
          ([x, y]) =>
            `<circle class="mark c${color}" cx="${at(x).toFixed(1)}" cy="${up(y).toFixed(1)}" r="3"><title>${escapeHtml(name)}, step ${x}: ${tickText(y)}</title></circle>`,
        )
        .join('')
    )
  })
  const named = usable.filter(({ style }) => style !== 'faint')
  const legend = named.map(({ name, color }) => `<span class="key"><i class="c${color}"></i>${escapeHtml(name)}</span>`)
  return `<figure class="chart"><figcaption>${escapeHtml(title)}<span class="legend">${legend.join('')}</span></figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${rows.join('')}${columns.join('')}${curves.join('')}</svg></figure>`
}

function rangeOf(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return [low, high]
}

function widened([low, high]: readonly [number, number], logarithmic: boolean): [number, number] {
  if (logarithmic) return high > low ? [low / 1.1, high * 1.1] : [low / 2, high * 2]
  const room = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room]
}

/** The mean of each stretch of points, where there are more than can be drawn. */
function thinned(points: ChartSeries['points']): ChartSeries['points'] {
  const stretch = Math.ceil(points.length / mostPoints)
  if (stretch === 1) return points
  return Array.from({ length: Math.ceil(points.length / stretch) }, (_, i) => {
    const part = points.slice(i * stretch, (i + 1) * stretch)
    const mean = (axis: 0 | 1) => part.reduce((sum, point) => sum + point[axis], 0) / part.length
    return [Math.round(mean(0)), mean(1)] as const
  })
}
