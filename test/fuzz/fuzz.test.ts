import { execFile } from 'node:child_process'
import { expect, it } from 'vitest'

/** a thirtieth or so of what `npm run fuzz` does; the same in every run */
const count = 3000
const seed = 20_251

interface Report {
  readonly rows: readonly { kind: string; tried: number; opened: number; slowest: number; mean: number; peak: number }[]
  readonly faults: readonly { index: number; kind: string; fault: string }[]
}

it(`${count} damaged files give a typed error or a working model`, { timeout: 600_000 }, async () => {
  const args = ['scripts/fuzz.mjs', '--json', '--count', String(count), '--seed', String(seed)]
  const written = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, { maxBuffer: 2 ** 26 }, (_, stdout, stderr) => {
      if (stdout === '') reject(new Error(`scripts/fuzz.mjs wrote nothing: ${stderr}`))
      else resolve(stdout)
    })
  })
  const { rows, faults } = JSON.parse(written) as Report
  for (const { kind, tried, opened, slowest, mean, peak } of rows)
    console.log(
      `${kind}: ${tried} tried, ${opened} opened, ${mean.toFixed(1)} ms, at most ${Math.round(slowest)}; ${Math.round(peak / 2 ** 20)} MB`,
    )
  expect(faults).toEqual([])
  expect(rows.reduce((sum, { tried }) => sum + tried, 0)).toBe(count)
  // a mutation that never opens tries only the first check, one that always does tries nothing
  for (const { kind, tried, opened } of rows) {
    expect(opened, kind).toBeGreaterThan(kind === 'saved prefix' ? -1 : 0)
    expect(opened, kind).toBeLessThan(tried)
  }
})
