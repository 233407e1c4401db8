import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../src/device/index.ts'
import { openParts } from '../../src/llm/open-parts.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { exportGguf } from '../../src/model/export/export-gguf.ts'
import { openCheckpoint } from '../../src/model/open-checkpoint.ts'
import { letters } from '../peers/letters.ts'
import { changedGguf, changedGgufConfig, recordedGguf } from './gguf-cases.ts'
import { madeCheckpoint } from './made-checkpoint.ts'
import { openParityCase, type ParityCase, parityFolders } from './parity-folder.ts'
import { closeTo, openScored } from './parity-runs.ts'
import { runTokens } from './run-tokens.ts'

const there = parityFolders('architectures').length > 0

describe('architectures in GGUF files', () => {
  beforeEach((context) => {
    if (!there) context.skip('hardware: ../shared/golden/architectures is not beside the project')
  })

  let folder = ''
  let device: Device
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fovea-gguf-architectures-'))
    device = await openDevice('wasm')
  })
  afterAll(async () => {
    device.dispose()
    await rm(folder, { recursive: true })
  })

  async function logitsOf(checkpoint: Checkpoint, tokens: readonly number[]): Promise<Float32Array> {
    const options = { device, contextLength: 128, pageSize: 16, maxSequences: 1, cacheFormat: 'f32' } as const
    const scored = await openScored(await openParts(checkpoint, options, 'generate'))
    const [logits] = await runTokens(scored, [{ sequence: scored.cache.open([]), tokens }])
    await scored.release()
    return logits as Float32Array
  }

  async function throughFile(checkpoint: Checkpoint, name: string): Promise<Checkpoint> {
    const path = join(folder, `${name}.gguf`)
    await exportGguf({ ...checkpoint, tokenizer: letters(checkpoint) }, path, { dtype: 'f32' })
    return openCheckpoint(path)
  }

  it.each(recordedGguf)('%s: the recorded logits from a file that was written', async (name) => {
    const recorded = await openParityCase(name, 'architectures')
    const again = await throughFile(recorded.checkpoint, name)
    closeTo(name, recorded)(await logitsOf(again, recorded.tokens), 0, 'from a GGUF file')
    await recorded.checkpoint.close()
  })

  it.each(Object.entries(changedGguf))(
    '%s: refused as recorded, changed the same logits from a file',
    async (name, [refusal]) => {
      const recorded = await openParityCase(name, 'architectures')
      await expect(throughFile(recorded.checkpoint, name)).rejects.toThrow(refusal)
      await recorded.checkpoint.close()

      const made = madeCheckpoint(changedGgufConfig(name))
      const { tokens } = recorded
      const logits = await logitsOf(made, tokens)
      const wanted: ParityCase = { ...recorded, logits, spread: Math.max(...logits) - Math.min(...logits) }
      expect(wanted.spread).toBeGreaterThan(1)
      closeTo(name, wanted)(await logitsOf(await throughFile(made, name), tokens), 0, 'from a GGUF file')
    },
  )
})
