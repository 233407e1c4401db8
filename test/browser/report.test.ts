import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { reportPage } from '../../src/train/report/report-page.ts'
import type { RunRecord } from '../../src/train/report/run-record.ts'
import { type BrowserPage, openBrowserPage } from './browser-page.ts'

const folder = join(import.meta.dirname, '..', '..', 'dist', 'report-test')
let browser: BrowserPage | undefined
afterAll(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A run whose curves are known: the loss halves every 100 steps. */
function run(name: string, rate: number): RunRecord {
  const steps = Array.from({ length: 1200 }, (_, i) => ({
    step: i + 1,
    loss: 5.5 * 0.5 ** ((rate * i) / 100) + 0.1,
    accuracy: 1 - 0.5 ** ((rate * i) / 100),
    learningRate: 3e-3 * Math.min(1, i / 60),
    gradientNorm: 1 + 0.5 * Math.sin(i),
    tokensPerSecond: 20000 + (i % 7) * 100,
    seconds: i / 10,
  }))
  const judged = steps.filter(({ step }) => step % 200 === 0)
  return {
    name,
    config: { model: { hidden_size: 64 }, note: '</pre><script>alert(1)</script>' },
    facts: [['parameters', '115008']],
    steps,
    evaluations: judged.map(({ step, loss, accuracy }) => ({ step, heldOut: 'mqar', loss, accuracy })),
    samples: [{ prompt: 'Once <upon>', text: ' a time & so on' }],
    examples: [
      { tokens: [{ text: '17' }, { text: '201' }, { text: '17', target: '201', predicted: '201' }] },
      { tokens: [{ text: '18' }, { text: '202' }, { text: '18', target: '202', predicted: '203' }] },
    ],
  }
}

it('shows curves, examples and configuration of two runs, and asks the network for nothing', async () => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'index.html'),
    reportPage('fovea train: <tiny>', [run('full', 1), run('window of 8', 0.1)]),
  )
  browser = await openBrowserPage()
  const { page } = browser
  const faults: string[] = []
  const asked: string[] = []
  page.on('console', (message) => faults.push(message.text()))
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('request', (request) => asked.push(request.url()))
  await page.goto(new URL('/dist/report-test/', page.url()).href)
  await page.screenshot({ path: join(folder, 'report.png'), fullPage: true })

  expect(await page.title()).toBe('fovea train: <tiny>')
  const charts = await page.locator('figure.chart').all()
  expect(charts).toHaveLength(5)
  for (const chart of charts) {
    const points = await chart.locator('polyline.line').first().getAttribute('points')
    const places = (points ?? '').split(' ').map((point) => point.split(',').map(Number) as [number, number])
    expect(places.length).toBeGreaterThan(100)
    for (const [x, y] of places) expect(x >= 0 && x <= 560 && y >= 0 && y <= 240).toBe(true)
    const box = await chart.locator('svg').boundingBox()
    expect((box?.width ?? 0) > 300 && (box?.height ?? 0) > 100).toBe(true)
    expect(await chart.locator('.key').count()).toBeGreaterThanOrEqual(2)
  }
  // a falling loss is drawn from the top left to the bottom right
  const loss = (await charts[0]?.locator('polyline.line').first().getAttribute('points')) ?? ''
  const heights = loss.split(' ').map((point) => Number(point.split(',')[1]))
  expect(heights.every((height, i) => i === 0 || height >= (heights[i - 1] as number) - 0.2)).toBe(true)
  expect(await page.locator('circle.mark').count()).toBe(24)
  expect(await page.locator('.row .right').count()).toBe(2)
  expect(await page.locator('.row .wrong').first().textContent()).toBe('203 ≠ 202')
  expect(await page.locator('blockquote').first().textContent()).toBe('Once <upon> a time & so on')
  expect(await page.locator('pre').first().textContent()).toContain('<script>alert(1)</script>')
  expect(await page.locator('table.summary tbody tr').count()).toBe(2)
  // nothing sticks out at the side, on a wide screen or a narrow one
  for (const width of [1280, 400]) {
    await page.setViewportSize({ width, height: 800 })
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
  }
  expect(faults).toEqual([])
  expect(asked).toHaveLength(1)
})
