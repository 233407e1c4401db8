// @ts-check
// Rewrites the excerpts of ARCHITECTURE.md: the code block after each `<!-- excerpt { ... } -->` is cut from what
// `fovea show` prints. With --check it writes nothing and fails on a difference. Runs after the build.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

/**
 * @typedef {object} Excerpt
 * @property {string} show arguments of `fovea show`
 * @property {string} from a regular expression for the first line
 * @property {number} lines
 * @property {string} [after] a regular expression for a line that comes earlier
 */

const path = 'ARCHITECTURE.md'
const widest = 118
const text = readFileSync(path, 'utf8')
const written = text.replaceAll(
  /<!-- excerpt (\{.*\}) -->\n```(\w*)\n[\s\S]*?```/g,
  (_, json, language) => `<!-- excerpt ${json} -->\n\`\`\`${language}\n${cut(JSON.parse(json))}\n\`\`\``,
)
if (!process.argv.includes('--check')) writeFileSync(path, written)
else if (written !== text) {
  console.error(`${path}: excerpts are not what \`fovea show\` prints: node scripts/excerpts.mjs`)
  process.exitCode = 1
}

/** @param {Excerpt} excerpt */
function cut({ show, from, lines, after }) {
  const args = ['dist/cli/main.js', 'show', ...show.split(' ')]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`fovea show ${show}: ${stderr}`)
  const all = stdout.split('\n')
  const begin = after === undefined ? 0 : all.findIndex((line) => new RegExp(after).test(line)) + 1
  const first = all.findIndex((line, i) => i >= begin && new RegExp(from).test(line))
  if (first < 0 || (after !== undefined && begin === 0))
    throw new Error(`fovea show ${show} prints no line like ${after ?? ''} … ${from}`)
  const kept = all.slice(first, first + lines)
  const indent = Math.min(...kept.filter((line) => line.trim() !== '').map((line) => line.search(/\S/)))
  const shorten = (/** @type {string} */ line) => (line.length > widest ? `${line.slice(0, widest - 2)} …` : line)
  return kept.map((line) => shorten(line.slice(indent)).trimEnd()).join('\n')
}
