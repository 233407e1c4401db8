import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { smallConfigs, smallEncoder, writeSources } from '../../test/files/small-encoder.ts'

const command = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js')
let folder = ''
const [model, classifier] = ['model', 'classifier']

beforeAll(async () => {
  if (!existsSync(command)) throw new Error('the command is not built: npm run build')
  folder = await mkdtemp(join(tmpdir(), 'fovea-cli-embed-'))
  await writeSources(join(folder, model), await smallEncoder(smallConfigs.bert))
  const config = { ...smallConfigs.bert, architectures: ['BertForSequenceClassification'], num_labels: 1 }
  const head = {
    ...{ 'bert.pooler.dense.weight': [8, 8], 'bert.pooler.dense.bias': [8] },
    ...{ 'classifier.weight': [1, 8], 'classifier.bias': [1] },
  }
  await writeSources(join(folder, classifier), await smallEncoder(config, { prefix: 'bert.', head }))
})
afterAll(() => rm(folder, { recursive: true }))

function fovea(args: readonly string[], input = '') {
  const all = [command, 'embed', ...args, '--device', 'wasm', '--threads', '1']
  return spawnSync(process.execPath, all, { encoding: 'utf8', timeout: 110_000, input, cwd: folder })
}

describe('fovea embed', () => {
  it('prints a vector in each line, of words, of a file and of the standard input', async () => {
    await writeFile(join(folder, 'texts.txt'), 'the cat\nthe mat\n')
    const args = ['--model', model, '--pooling', 'mean', '--dimensions', '4']
    const [words, file, input] = [
      fovea([...args, 'the cat', 'the mat']),
      fovea([...args, '--file', 'texts.txt']),
      fovea(args, 'the cat\r\nthe mat'),
    ]
    expect(words.status, words.stderr).toBe(0)
    const vectors = words.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as number[])
    expect(vectors).toHaveLength(2)
    for (const vector of vectors) {
      expect(vector).toHaveLength(4)
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
    }
    expect(file.stdout).toBe(words.stdout)
    expect(input.stdout).toBe(words.stdout)
  }, 120_000)

  it('ranks texts for a query, by their vectors or by a classifier', () => {
    const texts = ['the mat', 'the cat', 'sitting on']
    const near = fovea(['--model', model, '--pooling', 'mean', '--query', 'the cat', ...texts])
    expect(near.stdout.split('\n')[0]).toBe('  1.0000  the cat')
    const scored = fovea(['--model', classifier, '--rerank', '--query', 'the cat', ...texts])
    expect(scored.status, scored.stderr).toBe(0)
    const scores = scored.stdout
      .trim()
      .split('\n')
      .map((line) => Number(line.trim().split(' ')[0]))
    expect(scores).toHaveLength(3)
    expect(scores).toEqual([...scores].sort((a, b) => b - a))
    for (const score of scores) expect(score > 0 && score < 1).toBe(true)
  }, 120_000)

  it.each([
    [['x'], 'fovea embed: which model? --model names a folder or owner/name of the Hub'],
    [['--model', model, 'x'], /^openEmbedder: .* says no pooling .* takes mean, cls or last/],
    [['--model', model, '--pooling', 'max', 'x'], "fovea embed: --pooling must be one of mean, cls, last, got 'max'"],
    [['--model', model, '--rerank', 'x'], 'fovea embed: --rerank scores texts for a --query'],
    [
      ['--model', model, '--rerank', '--query', 'x', '--dimensions', '2', 'x'],
      'fovea embed: --dimensions is of vectors, --rerank makes none',
    ],
    [['--model', model, '--rerank', '--query', 'x', 'x'], /architectures is \["BertModel"\]/],
    [['--model', model, '--file', 'nowhere.txt', '--pooling', 'mean'], /^fovea embed: .*nowhere\.txt/],
    [['--model', model, '--file', 'texts.txt', 'x'], /choose one/],
  ])(
    '%j: one line that says what is wrong',
    (args, message) => {
      const { status, stderr, stdout } = fovea(args)
      expect(status).toBe(1)
      expect(stdout).toBe('')
      expect(stderr.trim().split('\n')).toHaveLength(1)
      if (typeof message === 'string') expect(stderr.trim()).toBe(message)
      else expect(stderr.trim()).toMatch(message)
    },
    120_000,
  )
})
