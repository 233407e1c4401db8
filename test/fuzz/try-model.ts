import type { Device } from '../../src/device/index.ts'
import { openEngine } from '../../src/llm/open-engine.ts'
import type { Checkpoint } from '../../src/model/checkpoint.ts'
import { engineOptions } from './base-files.ts'

const text = 'the end </s> of\n an é 12'

/** A model that opens must work: its tokenizer takes a text and gives one back, an engine answers in tokens that it has. */
export async function tryModel(device: Device, checkpoint: Checkpoint): Promise<void> {
  const { spec } = checkpoint
  const contextLength = Math.min(64, spec.maxPositions)
  const engine = await openEngine(checkpoint, { device, contextLength, ...engineOptions })
  try {
    const { tokenizer } = engine
    const prompt = [1, 2, 3].filter((token) => token < spec.vocabSize)
    const { tokens } = await engine.generate({ prompt, maxTokens: 3, sampling: { temperature: 0 } }).result
    if (tokens.some((token) => !(Number.isInteger(token) && token >= 0 && token < spec.vocabSize)))
      throw new TypeError(`tokens ${tokens} of a vocabulary of ${spec.vocabSize}`)
    if (tokenizer.definition === undefined) return
    const ids = tokenizer.encode(text)
    if (ids.some((id) => !Number.isSafeInteger(id) || id < 0)) throw new TypeError(`the text is ${ids}`)
    if (typeof tokenizer.decode(ids, { skipSpecial: false }) !== 'string') throw new TypeError('decode gives no text')
    for (const id of ids) tokenizer.piece(id)
    if (tokenizer.hasChatTemplate) tokenizer.applyChatTemplate([{ role: 'user', content: text }])
  } finally {
    await engine.close()
  }
}
