import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** A `*.golden.ts` under src exports `goldens`: for each file name (`flash.wgsl`) the text that belongs in it. */
interface GoldenModule {
  readonly goldens: Readonly<Record<string, () => string>>
}

const folder = join(import.meta.dirname, 'golden-texts')
const source = join(import.meta.dirname, '..', 'src')
const paths = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.golden.ts'))
const modules = new Map<string, GoldenModule>()
for (const path of paths.sort()) modules.set(path, await import(/* @vite-ignore */ join(source, path)))
const claimed = new Set<string>()

for (const [path, { goldens }] of modules) {
  describe(path, () => {
    for (const [name, print] of Object.entries(goldens)) {
      it(name, async () => {
        expect(claimed.has(name), `two golden modules print ${name}`).toBe(false)
        claimed.add(name)
        const text = print()
        expect(text.length).toBeGreaterThan(0)
        await expect(text.endsWith('\n') ? text : `${text}\n`).toMatchFileSnapshot(join(folder, name))
      })
    }
  })
}

it('every recorded text still has its program', () => {
  const names = [...modules.values()].flatMap(({ goldens }) => Object.keys(goldens))
  const recorded = readdirSync(folder).filter((name) => name !== 'README.md')
  expect(recorded.filter((name) => !names.includes(name))).toEqual([])
})
