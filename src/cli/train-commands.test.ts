import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const command = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js')
const folder = mkdtempSync(join(tmpdir(), 'fovea-train-'))

const config = {
  name: 'small',
  model: { model_type: 'llama', hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32 },
  data: { task: 'mqar', pairs: 2, vocabSize: 64 },
  length: 16,
  batch: 4,
  stages: [{ until: 10, length: 8, batch: 8 }],
  steps: 24,
  optimizer: { name: 'adamw', learningRate: 0.01 },
  device: 'wasm',
  evaluate: { every: 12, batches: 2 },
  save: { steps: 4 },
}

const at = (...names: string[]) => join(folder, ...names)

function fovea(...args: string[]) {
  return spawnSync(process.execPath, [command, ...args], { encoding: 'utf8', timeout: 100_000, cwd: folder })
}

function logLines(run: string): number {
  return existsSync(at(run, 'train.jsonl')) ? readFileSync(at(run, 'train.jsonl'), 'utf8').split('\n').length - 1 : 0
}

/** Starts a run, and gives the process once its log has so many lines. */
async function startedRun(run: string, lines: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [command, 'train', 'small.json', '--out', run], { cwd: folder })
  while (logLines(run) < lines) {
    if (child.exitCode !== null) throw new Error(`the run ended by itself, with ${child.exitCode}`)
    await pause(2)
  }
  return child
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.on('exit', resolve))

beforeAll(() => {
  if (!existsSync(command)) throw new Error('the command is not built: npm run build')
  writeFileSync(at('small.json'), JSON.stringify(config))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('fovea train', () => {
  it('comes to the same weights after a kill and an interrupt as without', async () => {
    const whole = fovea('train', 'small.json', '--out', 'whole')
    expect([whole.status, whole.stdout.split('\n').length]).toEqual([0, 3])
    expect(whole.stdout).toMatch(/^full: 24 steps in \d+ s, loss [\d.]+; held out: mqar [\d.]+ % right\n/)
    expect(whole.stderr).toMatch(/small \d+\/24, loss [\d.]+, \d+ tokens\/s, \d+ s left, \d+ MB/)
    expect(readdirSync(at('whole')).sort()).toEqual(
      ['checkpoint', 'config.json', 'model', 'report.html', 'shown.json', 'texts.json', 'train.jsonl'].sort(),
    )

    const killed = await startedRun('killed', 6)
    const end = ended(killed)
    killed.kill('SIGKILL')
    await end
    expect(existsSync(at('killed', 'model'))).toBe(false)
    // goes on, and is interrupted
    const resumed = spawn(process.execPath, [command, 'train', '--resume', 'killed'], { cwd: folder })
    const interrupted = ended(resumed)
    while (logLines('killed') < 14 && resumed.exitCode === null) await pause(2)
    resumed.kill('SIGINT')
    expect([0, 130]).toContain(await interrupted)
    const last = fovea('train', '--resume', 'killed')
    expect([last.status, last.stderr]).toEqual([0, expect.any(String)])

    const file = join('model', 'model.safetensors')
    expect(readFileSync(at('killed', file)).equals(readFileSync(at('whole', file)))).toBe(true)
    const losses = (run: string) =>
      [...readFileSync(at(run, 'train.jsonl'), 'utf8').matchAll(/"step":\d+,.*?"loss":[\d.]+/g)].map(String)
    expect(losses('killed')).toEqual(losses('whole'))
    expect(losses('whole')).toHaveLength(26)
  }, 120_000)

  // the whole run takes minutes; what it reaches is in docs/LOG.md
  it('runs the preset tiny, shortened, and compares it with a window', () => {
    const { status, stdout } = fovea('train', '--preset', 'tiny', '--steps', '8', '--device', 'wasm', '--out', 'tiny')
    expect([status, stdout.split('\n').map((line) => line.split(':')[0])]).toEqual([
      0,
      ['full', 'window of 8', expect.stringMatching(/^tiny holds/), ''],
    ])
    const report = readFileSync(at('tiny', 'report.html'), 'utf8')
    expect(report.match(/<h2>Rows and answers: (full|window of 8)<\/h2>/g)).toHaveLength(2)
    expect(report.match(/class="asked"/g)).toHaveLength(32)
    expect(logLines(join('tiny', 'window-of-8'))).toBe(9)
  }, 120_000)

  it('ends with the step whose loss is no number, and keeps what was saved', () => {
    const wild = ['--learning-rate', '1e18', '--set', 'clip=1e30', '--set', 'save.steps=1', '--out', 'wild']
    const { status, stderr } = fovea('train', 'small.json', ...wild)
    expect([status, stderr.trimEnd().split('\n').at(-1)]).toEqual([
      1,
      expect.stringMatching(/^trainer\.step: the loss of step \d+ is (NaN|Infinity): the run ends here/),
    ])
    expect(readdirSync(at('wild', 'checkpoint'))).toEqual(['training.safetensors'])
  })

  it.each([
    [['train'], 'fovea train: what is to be trained? Give a CONFIG.json, --preset, --task or --texts'],
    [['train', '--preset', 'tinny'], "fovea train: --preset: no preset 'tinny'; did you mean tiny?"],
    [['train', 'absent.json'], /^fovea train: ENOENT.*absent\.json/],
    [
      ['train', 'small.json', '--set', 'optimizer.betas=3'],
      /optimizer adamw: betas must be two numbers ≥ 0 and < 1, got 3/,
    ],
    [['train', 'small.json', '--steps', 'many'], /steps: must be a whole number of at least 1, got "many"/],
    [['train', '--task', 'mqar', '--attention', 'sliding'], /there is no attention "sliding"; known are full, window/],
    [['train', '--resume', 'absent'], 'fovea train: --resume: absent holds no run (no config.json)'],
    [['train', 'small.json', '--out', 'whole'], /whole holds a run already; let it go on \(--resume whole\)/],
    [
      ['train', '--resume', 'whole', '--learning-rate', '0.02'],
      /whole holds a run with optimizer .*0\.01.*, this one has .*0\.02/,
    ],
    [
      ['train', 'small.json', '--out', 'large', '--set', 'memory=0.1'],
      /^createTrainer: steps of .* need [\d.]+ MB \(parameters .*\), there are 0\.1 MB/,
    ],
    [['tokenizer', 'train'], /^fovea tokenizer: usage/],
    [
      ['tokenizer', 'train', 'small.json', '--vocab-size', '9000'],
      /^trainTokenizer: the texts .* give \d+ tokens, not 9000/,
    ],
  ])('%j is refused in one line', (args, message) => {
    const { status, stdout, stderr } = fovea(...args)
    expect([status, stdout]).toEqual([1, ''])
    const lines = stderr.trimEnd().split('\n')
    if (typeof message === 'string') expect(lines).toEqual([message])
    else expect(lines.at(-1)).toMatch(message)
  })
})

describe('fovea tokenizer', () => {
  it('writes a tokenizer that a language model is trained with', () => {
    writeFileSync(at('text.txt'), 'The quick brown fox jumps over the lazy dog, and the dog sleeps on. '.repeat(40))
    const made = fovea('tokenizer', 'train', 'text.txt', '--vocab-size', '280', '--out', 'tokenizer.json')
    expect(made.stdout).toMatch(/^tokenizer\.json holds 280 tokens, learnt from 2720 characters/)
    const model = { ...config.model, vocab_size: undefined }
    const texts = {
      ...config,
      model,
      name: 'fox',
      data: { texts: 'text.txt', heldOut: 0.2 },
      tokenizer: 'tokenizer.json',
      stages: [],
      steps: 4,
      samples: { prompts: ['The quick'], tokens: 5 },
    }
    writeFileSync(at('fox.json'), JSON.stringify(texts))
    const run = fovea('train', 'fox.json', '--out', 'fox')
    expect([run.status, run.stderr]).toEqual([0, expect.stringContaining('bits per byte')])
    expect(readdirSync(at('fox', 'model'))).toContain('tokenizer.json')
    expect(readFileSync(at('fox', 'report.html'), 'utf8')).toMatch(/<blockquote><b>The quick<\/b>/)
    const judged = fovea(
      'evaluate',
      '--model',
      'fox/model',
      '--device',
      'wasm',
      '--file',
      'text.txt',
      '--max-tokens',
      '60',
      '--json',
    )
    expect([judged.status, judged.stderr.length >= 0]).toEqual([0, true])
    expect((JSON.parse(judged.stdout) as { nats: number }).nats).toBeLessThan(6)
    writeFileSync(at('text.txt'), 'Other words, and others again. '.repeat(100))
    expect(fovea('train', '--resume', 'fox', '--steps', '8').stderr).toContain('fox: the texts have changed since')
  }, 120_000)
})
