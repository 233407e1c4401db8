import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

const root = join(import.meta.dirname, '..', '..')
const command = join(root, 'dist', 'cli', 'main.js')
const folder = mkdtempSync(join(tmpdir(), 'fovea-serve-'))
const keyFile = join(folder, 'key')
const small = [
  '--model',
  join(root, 'models', 'books-recall-16m.gguf'),
  '--device',
  'wasm',
  '--threads',
  '1',
  '--context',
  '512',
]

interface Serving {
  readonly child: ChildProcess
  readonly url: string
  /** what was printed before it was ready */
  readonly lines: readonly string[]
  readonly errors: () => string
  /** exit code, and null when a signal ended it */
  readonly exit: Promise<number | null>
}

/** Starts the command and waits until it is ready. */
async function serve(...options: readonly string[]): Promise<Serving> {
  const child = spawn(process.execPath, [command, 'serve', ...small, '--port', '0', ...options])
  onTestFinished(() => void child.kill('SIGKILL'))
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let [out, err] = ['', '']
  child.stderr.on('data', (text) => {
    err += text
  })
  const lines = await new Promise<string[]>((resolve, reject) => {
    child.stdout.on('data', (text) => {
      out += text
      if (out.split('\n').length > 2) resolve(out.trimEnd().split('\n'))
    })
    exit.then((code) => reject(new Error(`ended with ${code}: ${err}`)))
  })
  return { child, exit, lines, url: lines[0]?.split(' ')[0] ?? '', errors: () => err }
}

const post = (url: string, body: object, headers: Record<string, string> = {}) =>
  fetch(`${url}/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ model: 'books-recall-16m', prompt: 'a', ...body }),
  })

beforeAll(() => {
  if (!existsSync(command)) throw new Error('the command is not built: npm run build')
  writeFileSync(keyFile, 'sk-test\n')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('fovea serve', () => {
  it('prints its address and its memory, wants the key of the file, and finishes what runs when told to end', async () => {
    const { child, url, lines, exit, errors } = await serve('--api-key-file', keyFile, '--log')
    expect(lines[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1 serves books-recall-16m$/)
    expect(lines[1]).toMatch(
      /^memory [\d.]+ MB: weights .* MB, cache .*; context 512 tokens, cache \d+, 8 sequences at once$/,
    )
    expect((await post(url, { max_tokens: 1 })).status).toBe(401)
    const key = { authorization: 'Bearer sk-test' }
    const stream = await post(url, { max_tokens: 100, ignore_eos: true, stream: true }, key)
    child.kill('SIGTERM')
    expect(await stream.text()).toMatch(/"finish_reason":"length"[^\n]*\n\ndata: \[DONE\]\n\n$/)
    expect(await exit).toBe(0)
    expect(errors()).toContain('a second SIGTERM ends at once')
    expect(errors()).toMatch(/Z POST \/v1\/completions 401 [\d.]+ ms\n/)
  })

  it('ends at once at the second signal', async () => {
    const { child, url, exit, errors } = await serve()
    const stream = await post(url, { max_tokens: 500, ignore_eos: true, stream: true })
    child.kill('SIGINT')
    while (!errors().includes('SIGINT')) await new Promise((resolve) => setTimeout(resolve, 5))
    child.kill('SIGINT')
    expect(await exit).toBe(1)
    await expect(stream.text()).rejects.toThrow()
  })

  it('refuses what is new beyond the queue, and names the model as told', async () => {
    const { url } = await serve('--max-queue', '1', '--sequences', '1', '--name', 'other')
    const endless = { model: 'other', max_tokens: 500, ignore_eos: true, stream: true }
    const streams = [await post(url, endless), await post(url, endless)]
    expect((await post(url, endless)).status).toBe(429)
    expect((await post(url, {})).status).toBe(404)
    for (const { body } of streams) await body?.cancel()
  })

  it.each<[string, string[], string | RegExp]>([
    ['no model', [], 'fovea serve: which model? --model names a folder, a .gguf file or owner/name of the Hub'],
    [
      'a port out of range',
      [...small, '--port', '99999'],
      'startServer: port must be a whole number from 0 to 65535, got 99999',
    ],
    [
      'a port that is no number',
      [...small, '--port', 'http'],
      "fovea serve: --port must be a whole number of at least 0, got 'http'",
    ],
    [
      'a key file that is not there',
      [...small, '--api-key-file', join(folder, 'none')],
      /^fovea serve: --api-key-file: ENOENT/,
    ],
    [
      'a body of no bytes',
      [...small, '--max-body', '0'],
      "fovea serve: --max-body must be a whole number of at least 1, got '0'",
    ],
  ])('%s is one line on stderr and exit code 1', (_, args, message) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, 'serve', ...args], { encoding: 'utf8' })
    expect([status, stdout]).toEqual([1, ''])
    if (typeof message === 'string') expect(stderr.trimEnd()).toBe(message)
    else expect(stderr.trimEnd()).toMatch(message)
  })
})
