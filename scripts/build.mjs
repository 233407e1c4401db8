// @ts-check
// Compiles src into dist, which is what the package ships: plain ES modules and their declarations.
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { runStep } from './run-step.mjs'

rmSync('dist', { recursive: true, force: true })
const built = runStep('tsc', ['--project', 'tsconfig.build.json'])
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755)
process.exitCode = built ? 0 : 1
