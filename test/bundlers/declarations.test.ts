import { execFile } from 'node:child_process'
import { cp, mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { installPacked, missing, tools } from './packed-package.ts'

const run = promisify(execFile)
const repository = join(import.meta.dirname, '..', '..')
let folder = ''

beforeAll(async () => {
  if (missing) return
  folder = await installPacked()
  await cp(join(import.meta.dirname, 'programs'), folder, { recursive: true })
  const types = join(folder, 'node_modules', '@types')
  await mkdir(types)
  await symlink(join(repository, 'node_modules', '@types', 'node'), join(types, 'node'))
}, 60_000)

afterAll(async () => {
  if (folder !== '') await rm(folder, { recursive: true })
})

beforeEach((context) => {
  if (missing) context.skip(missing)
})

it.each(['5-4', '5-9', '6-0'])(
  'TypeScript %s takes the declarations, whatever libraries there are',
  async (version) => {
    const typescript = join(tools, `typescript-${version}`, 'lib', 'typescript.js')
    const programs = ['every-entry.ts', 'with-dom.ts'].map((name) => join(folder, name))
    const { stdout } = await run(process.execPath, [
      join(import.meta.dirname, 'compile-program.mjs'),
      typescript,
      ...programs,
    ])
    expect(JSON.parse(stdout)).toEqual({
      'nodenext, lib dom': [],
      'nodenext, lib dom, @types/node': [],
      'nodenext, lib es2022 alone': [],
      'nodenext, lib es2022 alone, @types/node': [],
      'bundler, lib dom': [],
      'bundler, lib es2022 alone, @types/node': [],
    })
  },
)
