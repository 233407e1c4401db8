import type { Device } from '../../device/device.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { batchesOf } from '../data/rows.ts'
import type { TrainableDecoder } from '../decoder/trainable-decoder.ts'
import type { LoraDecoder } from '../lora/lora-decoder.ts'
import type { RunRecord, TaskExample } from '../report/run-record.ts'
import type { RunData } from './run-data.ts'
import { TokenPredictor } from './token-predictor.ts'

/** rows of each task that a report shows, if they are not longer than this */
const [shownRows, longestShown] = [4, 512]

/** Held-out rows of tasks with what the model answers. */
export async function shownAnswers(
  device: Device,
  model: TrainableDecoder | LoraDecoder,
  data: RunData,
  tokenizer: Tokenizer | null,
): Promise<readonly TaskExample[]> {
  const textOf = (token: number) => tokenizer?.piece(token).text ?? String(token)
  const examples: TaskExample[] = []
  for (const { rows, count } of data.heldOut) {
    // rows of texts come to an end; they are shown as continued texts
    if (count !== null || rows.length > longestShown || rows.hasDocuments) continue
    const predictor = await TokenPredictor.create(device, model, rows.length)
    try {
      const source = batchesOf(rows, 1)
      for (let i = 0; i < shownRows; i++) {
        const { inputs, targets } = source.next()
        const places = [...targets.keys()].filter((at) => targets[at] !== -1)
        const answers = await predictor.mostLikely([...inputs], places)
        const tokens = Array.from(inputs, (token, at) => {
          const asked = places.indexOf(at)
          if (asked < 0) return { text: textOf(token) }
          return {
            text: textOf(token),
            target: textOf(targets[at] as number),
            predicted: textOf(answers[asked] as number),
          }
        })
        examples.push({ tokens })
      }
    } finally {
      predictor.dispose()
    }
  }
  return examples
}

/** Texts that the model continues, drawn at temperature 0.8. */
export async function shownTexts(
  device: Device,
  model: TrainableDecoder | LoraDecoder,
  tokenizer: Tokenizer,
  { prompts, tokens: count }: { readonly prompts: readonly string[]; readonly tokens: number },
): Promise<RunRecord['samples']> {
  const begin = tokenizer.bosToken === null ? [] : [tokenizer.bosToken]
  const rows = prompts.map((prompt) => [...begin, ...tokenizer.encode(prompt, { special: false })])
  const longest = Math.max(...rows.map((row) => row.length)) + count
  const predictor = await TokenPredictor.create(device, model, Math.min(longest, model.spec.maxPositions))
  try {
    const samples: { prompt: string; text: string }[] = []
    for (const [index, row] of rows.entries()) {
      const options = { count, temperature: 0.8, seed: index, end: tokenizer.eosTokens }
      const text = tokenizer.decode(await predictor.continueRow(row, options))
      samples.push({ prompt: prompts[index] as string, text })
    }
    return samples
  } finally {
    predictor.dispose()
  }
}
