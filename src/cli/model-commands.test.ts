import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { smallConfig, smallFiles } from '../../test/files/small-model.ts'

const root = join(import.meta.dirname, '..', '..')
const command = join(root, 'dist', 'cli', 'main.js')
const model = join(root, 'models', 'books-recall-16m.gguf')
const folder = mkdtempSync(join(tmpdir(), 'fovea-cli-'))

function fovea(args: readonly string[], input = ''): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [command, ...args], { encoding: 'utf8', timeout: 110_000, input, cwd: folder })
}

const small = ['--model', model, '--device', 'wasm', '--context', '256']

beforeAll(() => {
  if (!existsSync(command)) throw new Error('the command is not built: npm run build')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('fovea generate', () => {
  const prompt =
    'Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, '.repeat(2)
  const args = ['generate', ...small, '--page-size', '16', '-n', '12', '--temperature', '0']

  it('streams the answer to the output and its figures to the error output, saves the prefix and finds it again', () => {
    const first = fovea([...args, '--prompt', prompt, '--save', 'prefix'])
    expect(first.stderr).toMatch(/prefill +\d+ tokens in .* tokens\/s\n/)
    expect(first.stderr).toMatch(/decode +12 tokens, .* tokens\/s at \d+ to \d+ tokens of context \(length\)/)
    expect(first.stderr).toMatch(/cache +[\d.]+ MB for \d+ tokens in bf16/)
    const [, peak, planned] = /memory +([\d.]+) MB at most on the device, ([\d.]+) MB planned/.exec(first.stderr) ?? []
    expect(Math.abs(Number(peak) / Number(planned) - 1)).toBeLessThan(0.05)
    expect(first.stdout.length).toBeGreaterThan(10)
    expect(first.status).toBe(0)
    // from the standard input, by the restored prefix
    const again = fovea([...args, '--restore', 'prefix'], prompt)
    expect(again.stderr).toMatch(/restored \d+ tokens in /)
    expect(again.stderr).toMatch(/, \d+ found in the cache/)
    expect(again.stdout).toBe(first.stdout)
  }, 120_000)

  it.each([
    [
      ['generate', '--prompt', 'x'],
      'fovea generate: which model? --model names a folder, a .gguf file or owner/name of the Hub',
    ],
    [
      ['generate', ...small, '--prompt', 'x', '--file', 'y'],
      'fovea generate: --prompt and --file both give a text: choose one',
    ],
    [['generate', ...small, '--file', 'nowhere.txt'], /^fovea generate: .*nowhere\.txt/],
    [['generate', ...small, '--prompt', 'x', '--top-p', '2'], /topP/],
    [
      ['generate', ...small, '--prompt', 'x', '--temperature', 'warm'],
      "fovea generate: --temperature must be a number, got 'warm'",
    ],
    [['generate', ...small, '--prompt', 'word '.repeat(400)], /prompt has \d+ tokens; the context holds 256/],
    [['generate', '--model', model, '--context', '99999', '--prompt', 'x'], /contextLength must be .* got 99999/],
    [['generate', ...small, '--sinks', '4', '--prompt', 'x'], 'fovea generate: --sinks goes with --window'],
    [['generate', '--model', 'broken.gguf', '--prompt', 'x'], /broken\.gguf/],
    [['evaluate', ...small], 'fovea evaluate: give a text (--file) or lengths of documents (--retrieval)'],
    [['chat', '--model', 'nowhere'], /nowhere/],
    [['export', '--model', model], 'fovea export: --model and --output are needed'],
  ])('%j says what is wrong, on the error output', (args, message) => {
    writeFileSync(join(folder, 'broken.gguf'), 'GGUX and nothing else')
    const { status, stdout, stderr } = fovea(args)
    expect([status, stdout]).toEqual([1, ''])
    const said = stderr.trimEnd().split('\n').at(-1)
    if (typeof message === 'string') expect(said).toBe(message)
    else expect(said).toMatch(message)
  })
})

it('fovea chat answers line after line', () => {
  const { status, stdout, stderr } = fovea(
    ['chat', ...small, '-n', '8', '--temperature', '0'],
    'Good morning.\n/stats\n/quit\n',
  )
  expect(status).toBe(0)
  expect(stdout.trim().length).toBeGreaterThan(0)
  expect(stderr).toMatch(/decode +\d+ tokens/)
}, 60_000)

it('fovea evaluate scores a text, and retrieval', () => {
  writeFileSync(join(folder, 'text.txt'), 'The ship went down before the morning, and nobody saw it again. '.repeat(12))
  const text = fovea(['evaluate', ...small, '--file', 'text.txt', '--json'])
  const { tokens, nats, byPosition } = JSON.parse(text.stdout)
  expect(tokens).toBeGreaterThan(100)
  expect(nats).toBeGreaterThan(0)
  // a text that repeats itself is foretold better and better
  expect(byPosition.at(-1).nats).toBeLessThan(byPosition[0].nats)
  const found = fovea(['evaluate', ...small, '--retrieval', '200', '--cases', '2', '--json'])
  expect(JSON.parse(found.stdout)).toMatchObject([{ tokens: 200, cases: 2 }])
}, 120_000)

it('fovea plan and fovea export', () => {
  const plan = JSON.parse(fovea(['plan', ...small, '--json']).stdout)
  expect(plan.wasm.total).toBe(plan.wasm.weights + plan.wasm.cache + plan.wasm.workspace)
  expect(fovea(['plan', ...small]).stdout).toMatch(/^total +[\d.]+ MB$/m)
  const written = fovea(['export', '--model', model, '--output', 'small.gguf', '--dtype', 'q4_0'])
  expect(written.stdout).toBe('small.gguf holds qwen3 in q4_0\n')
  const answer = fovea([
    'generate',
    '--model',
    'small.gguf',
    '--device',
    'wasm',
    '--context',
    '128',
    '-p',
    'Call me',
    '-n',
    '4',
    '--quiet',
  ])
  expect([answer.status, answer.stderr]).toEqual([0, ''])
}, 120_000)

describe('--ignore-field', () => {
  it('reads past fields that are named, of config.json and of the tokenizer, as often as needed', async () => {
    const files = {
      ...(await smallFiles()),
      'config.json': { ...smallConfig, residual_multiplier: 3 },
      'tokenizer_config.json': { eos_token: '<end>', mystery: 4 },
    }
    const odd = join(folder, 'odd')
    mkdirSync(odd)
    for (const [name, content] of Object.entries(files))
      writeFileSync(join(odd, name), content instanceof Uint8Array ? content : JSON.stringify(content))
    const common = ['--model', odd, '--device', 'wasm', '--context', '16', '--page-size', '16']
    const commands = [
      ['generate', ...common, '--prompt', 'ab', '-n', '1'],
      ['plan', ...common, '--json'],
    ]
    for (const args of commands) {
      const without = fovea(args)
      expect(without.stderr).toMatch(/config\.json: residual_multiplier is 3, .*--ignore-field residual_multiplier/)
      expect(without.status).toBe(1)
      const one = fovea([...args, '--ignore-field', 'residual_multiplier'])
      expect(one.stderr).toMatch(/tokenizer_config\.json: mystery is 4, .*--ignore-field mystery/)
      expect(one.status).toBe(1)
      const both = fovea([...args, '--ignore-field', 'residual_multiplier', '--ignore-field', 'mystery'])
      expect(both.stderr).not.toMatch(/is 3|is 4/)
      expect(both.status).toBe(0)
    }
  }, 120_000)
})
