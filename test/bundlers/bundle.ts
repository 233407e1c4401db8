import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tools } from './packed-package.ts'

export type Bundler = 'esbuild' | 'rollup' | 'webpack' | 'vite' | 'parcel'

const command = (...parts: string[]) => join(tools, ...parts)

/** Arguments of Node that build `app` of the folder they run in into `out`, as each tool does when nobody configured it. */
const builds: Readonly<Record<Bundler, (out: string, app: string) => readonly string[]>> = {
  esbuild: (out, app) => [
    command('esbuild', 'bin', 'esbuild'),
    app,
    '--bundle',
    '--format=esm',
    '--minify',
    `--outdir=${out}`,
  ],
  // without its plugin it resolves no package at all
  rollup: (out, app) => [
    command('rollup', 'dist', 'bin', 'rollup'),
    ...['--input', app, '--dir', out],
    ...['--plugin', command('@rollup', 'plugin-node-resolve', 'dist', 'cjs', 'index.js')],
  ],
  webpack: (out, app) => [join(import.meta.dirname, 'run-webpack.mjs'), `./${app}`, out],
  vite: (out) => [command('vite', 'bin', 'vite.js'), 'build', '--outDir', out],
  parcel: (out) => [command('parcel', 'lib', 'bin.js'), 'build', 'index.html', '--dist-dir', out, '--no-cache'],
}

const run = promisify(execFile)

/** Bundles the app in `folder` by a process of the tool's, and gives the folder to serve. Rejects with what the tool says. */
export async function bundle(bundler: Bundler, folder: string, app = 'app.js'): Promise<string> {
  const out = join(folder, `out-${bundler}`)
  await mkdir(out)
  await run(process.execPath, builds[bundler](out, app), { cwd: folder, maxBuffer: 2 ** 24 }).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`${bundler} failed:\n${stdout}\n${stderr}`)
    },
  )
  // Vite and Parcel write the page, too
  const page = '<!doctype html><title>app</title><script type="module" src="app.js"></script>'
  if (bundler !== 'vite' && bundler !== 'parcel') await writeFile(join(out, 'index.html'), page)
  return out
}
