// @ts-check
// `npm run check`: everything that judges the code without running a kernel. All steps run; the last lines say which failed.
import { runStep } from './run-step.mjs'

/** @type {[name: string, command: string, args: string[], env?: Record<string, string>][]} */
const steps = [
  ['types', 'tsc', ['--noEmit']],
  ['format and lint', 'biome', ['ci', '--colors=off', '--error-on-warnings', '.']],
  ['layering', 'node', ['scripts/check-layering.mjs']],
  ['files', 'node', ['scripts/check-files.mjs']],
  ['repository', 'node', ['scripts/check-repository.mjs']],
  ['build', 'node', ['scripts/build.mjs']],
  ['exports', 'node', ['scripts/check-exports.mjs']],
  ['excerpts', 'node', ['scripts/excerpts.mjs', '--check']],
  ['models table', 'node', ['scripts/models-table.mjs', '--check']],
  ['benchmark table', 'node', ['scripts/bench-table.mjs', '--check']],
  // CI makes vitest compare and never write
  ['golden texts', 'vitest', ['run', '--project', 'golden'], { CI: 'true' }],
]

/** @type {string[]} */
const failed = []
for (const [name, command, args, env] of steps) {
  console.log(`\n> ${name}`)
  if (!runStep(command, args, env)) failed.push(name)
}
console.log(failed.length === 0 ? `\ncheck: ${steps.length} steps passed` : `\ncheck: failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
