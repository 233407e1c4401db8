// @ts-check
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'

/**
 * Runs one command of the repository with its output shown, and says whether it succeeded.
 * Commands of `node_modules/.bin` are found first.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env] variables added to the present ones
 * @returns {boolean}
 */
export function runStep(command, args, env = {}) {
  const path = [join(process.cwd(), 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env, PATH: path } })
  if (error) console.error(`${command}: ${error.message}`)
  return status === 0
}
