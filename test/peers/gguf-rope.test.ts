import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openEngine } from '../../src/llm/open-engine.ts'
import { exportGguf } from '../../src/model/export/export-gguf.ts'
import { openGguf } from '../../src/model/files/gguf.ts'
import type { GgufValue } from '../../src/model/files/gguf-types.ts'
import { openFile } from '../../src/model/files/open-file.ts'
import { type GgufTypedValue, writeGguf } from '../../src/model/files/write-gguf.ts'
import type { TensorToWrite } from '../../src/model/files/write-safetensors.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { letters } from './letters.ts'
import { askLlamaCpp, hasLlamaCpp } from './llama-cpp.ts'

const model = fileURLToPath(new URL('../../../shared/golden/hf/llama-gqa', import.meta.url))

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fovea-gguf-rope-'))
})
afterAll(() => rm(folder, { recursive: true }))

type Changes = Readonly<Record<string, number | string>>
const scaling = (type: string, rest: Changes = {}): Changes => ({
  'rope.scaling.type': type,
  'rope.scaling.factor': 4,
  'rope.scaling.original_context_length': 64,
  ...rest,
})

/** Settings of rotary positions, and whether the file divides the frequencies by 1, 1.5, 2 ... */
const cases: readonly (readonly [string, Changes, boolean])[] = [
  ['nothing', {}, false],
  ['yarn', scaling('yarn'), false],
  ['yarn with attn_factor', scaling('yarn', { 'rope.scaling.attn_factor': 0.75 }), false],
  ['yarn without an original length', { 'rope.scaling.type': 'yarn', 'rope.scaling.factor': 4 }, false],
  ['linear', scaling('linear'), false],
  ['linear with attn_factor', scaling('linear', { 'rope.scaling.attn_factor': 1.25 }), false],
  ['a factor without a type', { 'rope.scaling.factor': 4 }, false],
  ['the older factor', { 'rope.scale_linear': 2 }, false],
  ['none with a factor', scaling('none'), false],
  ['a factor of 0', scaling('linear', { 'rope.scaling.factor': 0 }), false],
  ['yarn by a factor of 0', scaling('yarn', { 'rope.scaling.factor': 0 }), false],
  ['divisors', {}, true],
  ['divisors and a factor', scaling('linear'), true],
  ['divisors and yarn', scaling('yarn'), true],
]

it('rotary positions are turned as llama.cpp turns them', { timeout: 300_000 }, async (context) => {
  if (!hasLlamaCpp())
    context.skip('node-llama-cpp is not installed: npm --prefix test/peers ci --ignore-scripts --omit=optional')
  if (!existsSync(model)) context.skip('hardware: ../shared/golden is not beside the project')
  const plain = join(folder, 'plain.gguf')
  const checkpoint = await openCheckpoint(model)
  await exportGguf({ ...checkpoint, tokenizer: letters(checkpoint) }, plain, { dtype: 'f32' })
  await checkpoint.close()
  const ids = Array.from({ length: 160 }, (_, i) => (i * 37 + 5) % 128)
  const paths = await Promise.all(
    cases.map(async ([, changes, divided], i) => {
      const path = join(folder, `${i}.gguf`)
      await rewrite(plain, path, changes, divided)
      return path
    }),
  )
  const judged = await askLlamaCpp(paths.map((path) => ({ path, ids, count: 8 })))
  const answers = new Set<string>()
  for (const [i, [name]] of cases.entries()) {
    const engine = await openEngine(paths[i] as string, {
      device: 'wasm',
      contextLength: 256,
      maxSequences: 1,
      cacheFormat: 'f32',
    })
    const { tokens } = await engine.generate({
      prompt: ids,
      maxTokens: 8,
      ignoreEos: true,
      sampling: { temperature: 0 },
    }).result
    await engine.close()
    expect(tokens, name).toEqual(judged[i]?.greedy)
    answers.add(tokens.join())
  }
  // the settings are told apart by what comes out
  expect(answers.size).toBeGreaterThanOrEqual(6)
})

/** The file with other keys of its architecture, and divisors of frequencies where asked for. */
async function rewrite(from: string, to: string, changes: Changes, divided: boolean): Promise<void> {
  const table = await openGguf(await openFile(from))
  const arch = String(table.metadata.get('general.architecture'))
  const added = Object.entries(changes).map(([key, value]) => [`${arch}.${key}`, value] as const)
  const metadata = new Map([...table.metadata, ...added].map(([key, value]) => [key, typed(key, value)]))
  const tensors = table.names().map((name): TensorToWrite => {
    const { dtype, shape, read } = table.get(name)
    return { name, dtype: dtype as 'f32', shape, read }
  })
  if (divided) {
    const pairs = Number(table.metadata.get(`${arch}.rope.dimension_count`)) / 2
    const data = Float32Array.from({ length: pairs }, (_, i) => 1 + i / 2)
    const read = async () => new Uint8Array(data.buffer)
    tensors.push({ name: 'rope_freqs.weight', dtype: 'f32', shape: [pairs], read })
  }
  await writeGguf(to, metadata, tensors)
  await table.close()
}

/** Numbers of a GGUF file lose their types when they are read. */
function typed(key: string, value: GgufValue): GgufTypedValue {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value === 'number')
    return { type: /epsilon|freq_base|factor$|scale_linear/.test(key) ? 'f32' : 'u32', value }
  const list = value as readonly (string | number)[]
  // a list of no merges is one of texts all the same
  if (/(tokens|merges)$/.test(key)) return { type: { arrayOf: 'string' }, value: list }
  return { type: { arrayOf: key.endsWith('scores') ? 'f32' : 'i32' }, value: list }
}
