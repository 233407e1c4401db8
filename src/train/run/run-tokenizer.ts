import { readFile } from 'node:fs/promises'
import { isRecord } from '../../model/architectures/config-fields.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { jsonTokenizer, type TokenizerDefinition } from '../../model/tokenizers/json-tokenizer.ts'
import { FoveaError } from '../../tile/index.ts'
import type { TrainConfig } from '../config/train-config.ts'
import { readDocuments } from '../data/read-documents.ts'
import { textFiles } from '../data/text-files.ts'
import { trainTokenizer } from '../tokenizer/train-tokenizer.ts'
import { trainingTexts } from './run-data.ts'
import { readJson, runFiles, writeJson } from './run-folder.ts'

/** names under which begin and end tokens are found in a tokenizer.json, which does not say them */
const beginNames = ['<|begin|>', '<s>', '<|begin_of_text|>', '<bos>', '<|endoftext|>']
const endNames = ['<|end|>', '</s>', '<|end_of_text|>', '<eos>', '<|endoftext|>']

/**
 * The tokenizer of a run: that of its folder, or else the one that the configuration names or wants to be learnt, which is then
 * kept in the folder; null where the configuration has none. Rejects with `io`, `format`, and what `trainTokenizer` rejects
 * with.
 */
export async function runTokenizer(
  { tokenizer, data }: TrainConfig,
  folder: string,
  onProgress?: (characters: number) => void,
): Promise<Tokenizer | null> {
  if (tokenizer === undefined) return null
  const kept = await readJson(folder, runFiles.tokenizer)
  if (isRecord(kept)) return tokenizerOf(kept, `${folder}/${runFiles.tokenizer}`)
  const definition =
    typeof tokenizer === 'string'
      ? await readDefinition(tokenizer)
      : await trainTokenizer({
          texts: readDocuments(await textFiles(trainingTexts(data))),
          vocabSize: tokenizer.vocabSize,
          ...(onProgress && { onProgress }),
        })
  await writeJson(folder, runFiles.tokenizer, definition)
  return tokenizerOf(definition, typeof tokenizer === 'string' ? tokenizer : 'tokenizer')
}

function tokenizerOf(definition: TokenizerDefinition, file: string): Tokenizer {
  const added = Array.isArray(definition.added_tokens) ? definition.added_tokens.filter(isRecord) : []
  const idOf = (names: readonly string[]) => {
    const found = added.find(({ content }) => names.includes(String(content)))
    return typeof found?.id === 'number' ? found.id : null
  }
  const [bosToken, eosToken] = [idOf(beginNames), idOf(endNames)]
  const eosTokens = eosToken === null ? [] : [eosToken]
  // rows begin with the begin token, so does what the model is asked later, unless it is the end token too
  const addBos = bosToken !== null && bosToken !== eosToken ? true : null
  return jsonTokenizer(definition, { file, bosToken, eosTokens, addBos, addEos: null, chatTemplate: null })
}

async function readDefinition(path: string): Promise<TokenizerDefinition> {
  const content = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new FoveaError('io', 'runTraining', `tokenizer: ${cause.message}`, { cause })
  })
  try {
    const value: unknown = JSON.parse(content)
    if (isRecord(value)) return value
  } catch {}
  throw new FoveaError('format', 'runTraining', `${path} is no tokenizer.json`)
}
