import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rename, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '..', '..')

/** Where the tools of this folder lie when they were installed. */
export const tools = join(import.meta.dirname, 'node_modules')

/** Why the tests of this folder cannot run here; undefined where they can. */
export const missing = existsSync(join(tools, 'esbuild', 'package.json'))
  ? undefined
  : 'hardware: test/bundlers is not installed (npm --prefix test/bundlers install --ignore-scripts --no-save)'

/**
 * A folder of a user's, in which the package is installed as `npm pack` made it of what is built. It holds the sources of
 * `app`, too. The caller removes it.
 */
export async function installPacked(app?: string): Promise<string> {
  if (!existsSync(join(repository, 'dist', 'index.js'))) throw new Error('nothing is built: npm run build')
  const folder = await mkdtemp(join(tmpdir(), 'fovea-packed-'))
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: repository })
  const [archive] = await readdir(folder)
  execFileSync('tar', ['-xzf', String(archive)], { cwd: folder })
  const modules = join(folder, 'node_modules')
  await mkdir(modules)
  await rename(join(folder, 'package'), join(modules, 'fovea'))
  // what the package depends on, as it is installed here
  for (const name of ['@hono', 'hono']) await symlink(join(repository, 'node_modules', name), join(modules, name))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }))
  if (app !== undefined) await cp(join(import.meta.dirname, app), folder, { recursive: true })
  return folder
}
