import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openBrowserPage } from './browser-page.ts'

const repository = join(import.meta.dirname, '..', '..')

it('the lines of README.md for a page run as they stand', { timeout: 300_000 }, async () => {
  const readme = await readFile(join(repository, 'README.md'), 'utf8')
  const [, lines = ''] = /### In a page\n+```html\n(.*?)```/s.exec(readme) ?? []
  expect(lines.trim().split('\n').length).toBeLessThanOrEqual(10)

  const { page, close } = await openBrowserPage()
  try {
    // an import map stands for a bundler; everything else of the page is README's
    const map = await page.evaluate('document.querySelector("script[type=importmap]").outerHTML')
    const { origin } = new URL(page.url())
    const isolated = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }
    await page.route(`${origin}/readme.html`, (route) =>
      route.fulfill({ contentType: 'text/html', headers: isolated, body: `<!doctype html>${map}${lines}` }),
    )
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))
    await page.goto(`${origin}/readme.html`)
    // tokens are drawn, so how many words they make differs: not how long they are together
    await page.waitForFunction('document.getElementById("answer").textContent.length > 30', undefined, {
      timeout: 120_000,
    })
    expect(errors).toEqual([])
    expect(await page.getAttribute('#progress', 'value')).toBe('1')
    // letters, as the model writes them: which ones is for chance
    expect(await page.textContent('#answer')).toMatch(/\p{L}{2,}/u)
  } finally {
    await close()
  }
})
