import { escapeHtml } from './escape-html.ts'
import { type ChartSeries, lineChart } from './line-chart.ts'
import { pageStyle } from './page-style.ts'
import type { RunRecord, StepRecord } from './run-record.ts'

/** steps over which a noisy curve is smoothed, in half-lives of an average */
const smoothing = 20

/**
 * A report of one run, or of several for comparison, as one HTML page that needs nothing else: no script, no file beside it.
 * Curves, what held-out rows say, the configuration, continued texts and answered rows.
 */
export function reportPage(title: string, runs: readonly RunRecord[]): string {
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    summaryTable(runs),
    `<section class="charts">${charts(runs)}</section>`,
    ...runs.flatMap((run) => [answeredRows(run), continuedTexts(run)]),
    '<h2>Configuration</h2>',
    ...runs.map(configuration),
  ]
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>${escapeHtml(title)}</title><style>${pageStyle}</style></head>
<body><main>${body.filter((part) => part !== '').join('\n')}</main></body></html>
`
}

function summaryTable(runs: readonly RunRecord[]): string {
  const rows = runs.map((run, color) => {
    const last = run.steps.at(-1)
    const judged = lastEvaluations(run).map(
      ({ heldOut, loss, accuracy, bitsPerByte }) =>
        `${escapeHtml(heldOut)}: ${loss.toFixed(4)} nats, ${bitsPerByte === undefined ? `<b>${percent(accuracy)}</b> right` : `<b>${bitsPerByte.toFixed(4)}</b> bits per byte`}`,
    )
    const cells = [
      `<i class="c${color}"></i>${escapeHtml(run.name)}`,
      last ? String(last.step) : '–',
      last ? last.loss.toFixed(4) : '–',
      judged.join('<br>') || '–',
      last ? duration(last.seconds) : '–',
    ]
    return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  const head = ['run', 'steps', 'training loss', 'held out', 'time'].map((name) => `<th>${name}</th>`)
  return `<table class="summary"><thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function charts(runs: readonly RunRecord[]): string {
  const several = runs.length > 1
  const label = (run: RunRecord, what: string) => (several ? `${run.name}${what === '' ? '' : `, ${what}`}` : what)
  const curve = (run: RunRecord, color: number, what: string, value: (step: StepRecord) => number): ChartSeries => ({
    name: label(run, what),
    color,
    points: run.steps.map((step) => [step.step, value(step)]),
  })
  const smooth = (run: RunRecord, color: number, value: (step: StepRecord) => number): ChartSeries[] => {
    // what no token was asked for has no loss
    const taught = { ...run, steps: run.steps.filter(({ targets }) => targets !== 0) }
    const raw = curve(taught, color, several ? '' : 'training', value)
    return [
      { ...raw, style: 'faint' },
      { ...raw, points: smoothed(raw.points) },
    ]
  }
  const judged = (run: RunRecord, color: number, value: 'loss' | 'accuracy'): ChartSeries[] =>
    [...new Set(run.evaluations.map(({ heldOut }) => heldOut))].map((heldOut, index) => ({
      name: label(run, `held out (${heldOut})`),
      color: several ? color : index + 1,
      style: 'marks',
      points: run.evaluations.filter((one) => one.heldOut === heldOut).map((one) => [one.step, one[value]]),
    }))
  const of = (make: (run: RunRecord, color: number) => ChartSeries[]) => runs.flatMap(make)
  return [
    lineChart({
      title: 'loss, nats per token',
      series: of((run, color) => [...smooth(run, color, (step) => step.loss), ...judged(run, color, 'loss')]),
    }),
    lineChart({
      title: 'accuracy',
      include: [0, 1],
      series: of((run, color) => [...smooth(run, color, (step) => step.accuracy), ...judged(run, color, 'accuracy')]),
    }),
    lineChart({
      title: 'norm of the gradient',
      logarithmic: true,
      series: of((run, color) => smooth(run, color, (step) => step.gradientNorm)),
    }),
    lineChart({
      title: 'learning rate',
      include: [0],
      series: of((run, color) => [curve(run, color, '', (step) => step.learningRate)]),
    }),
    lineChart({
      title: 'tokens per second',
      include: [0],
      series: of((run, color) => smooth(run, color, (step) => step.tokensPerSecond)),
    }),
  ].join('\n')
}

function smoothed(points: ChartSeries['points']): ChartSeries['points'] {
  const keep = 0.5 ** (1 / Math.min(smoothing, Math.max(1, points.length / 20)))
  let [sum, weight] = [0, 0]
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y] as const
    sum = keep * sum + (1 - keep) * y
    weight = keep * weight + (1 - keep)
    return [x, sum / weight] as const
  })
}

function answeredRows({ name, examples }: RunRecord): string {
  if (examples.length === 0) return ''
  const rows = examples.map(({ tokens }) => {
    const shown = tokens.map(({ text, target, predicted }) => {
      if (target === undefined) return `<span>${escapeHtml(text)}</span>`
      const right = target === predicted
      const answer = right ? target : `${predicted ?? '?'} ≠ ${target}`
      return `<span class="asked">${escapeHtml(text)}<b class="${right ? 'right' : 'wrong'}">${escapeHtml(answer)}</b></span>`
    })
    return `<p class="row">${shown.join('')}</p>`
  })
  return `<h2>Rows and answers: ${escapeHtml(name)}</h2><p>What the model expects stands behind each token that asks for something.</p>${rows.join('')}`
}

function continuedTexts({ name, samples }: RunRecord): string {
  if (samples.length === 0) return ''
  const texts = samples.map(
    ({ prompt, text }) => `<blockquote><b>${escapeHtml(prompt)}</b>${escapeHtml(text)}</blockquote>`,
  )
  return `<h2>Continued texts: ${escapeHtml(name)}</h2>${texts.join('')}`
}

function configuration({ name, config, facts }: RunRecord): string {
  const rows = facts.map(([what, value]) => `<tr><th>${escapeHtml(what)}</th><td>${escapeHtml(value)}</td></tr>`)
  return `<h3>${escapeHtml(name)}</h3><table>${rows.join('')}</table><details open><summary>all fields</summary><pre>${escapeHtml(JSON.stringify(config, null, 2))}</pre></details>`
}

function lastEvaluations({ evaluations }: RunRecord): RunRecord['evaluations'] {
  const last = new Map(evaluations.map((one) => [one.heldOut, one]))
  return [...last.values()]
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)} %`
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
