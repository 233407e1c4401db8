import type { Tokenizer } from '../../model/tokenizer.ts'
import type { DataPart, TaskConfig, TextsConfig } from '../config/data-config.ts'
import type { TrainConfig } from '../config/train-config.ts'
import { mixRows, type RowShare } from '../data/mix-rows.ts'
import type { Rows } from '../data/rows.ts'
import { textRows } from '../data/text-rows.ts'
import { type TokenFile, tokenizeFiles } from '../data/token-file.ts'
import { type TokenStore, tokenSlice } from '../data/token-store.ts'
import { associativeRecall } from '../tasks/associative-recall.ts'
import { copying } from '../tasks/copying.ts'
import { induction } from '../tasks/induction.ts'
import { proseRetrieval } from '../tasks/prose-retrieval.ts'

/** Rows that a model is judged by, always the same. */
export interface HeldOutRows {
  readonly name: string
  readonly rows: Rows
  /** rows after which they repeat; null: never */
  readonly count: number | null
  /** of a text */
  readonly bytesPerToken: number | null
}

export interface RunData {
  readonly rows: Rows
  readonly heldOut: readonly HeldOutRows[]
  close(): void
}

/** held-out rows of a task come from another seed than those of training */
const heldOutSeed = 0x5eed0000

export interface RunDataOptions {
  readonly config: TrainConfig
  readonly tokenizer: Tokenizer | null
  /** where tokens of texts are kept */
  readonly folder: string
  readonly onProgress?: (characters: number) => void
}

/**
 * The rows that a configuration asks for: texts and tasks in their shares, and those to judge by. Texts are tokenised into files
 * of the folder. Rejects with what `tokenizeFiles`, `textRows` and the tasks reject with.
 */
export async function runData({ config, tokenizer, folder, onProgress }: RunDataOptions): Promise<RunData> {
  const files: TokenFile[] = []
  const parts: RowShare[] = []
  const heldOut: HeldOutRows[] = []
  const read = async (paths: readonly string[], name: string): Promise<TokenFile> => {
    const cache = `${folder}/${name}`
    const file = await tokenizeFiles({
      paths,
      tokenizer: tokenizer as Tokenizer,
      cache,
      ...(onProgress && { onProgress }),
    })
    files.push(file)
    return file
  }
  try {
    for (const [index, part] of config.data.entries()) {
      const seed = config.seed + 1000003 * index
      if ('task' in part) {
        parts.push({ share: part.share, rows: taskRows(part, config, tokenizer, seed) })
        const rows = taskRows(part, config, tokenizer, seed + heldOutSeed)
        heldOut.push({ name: part.task, rows, count: null, bytesPerToken: null })
      } else parts.push(await textPart(part, index, seed))
    }
    return { rows: mixRows(parts), heldOut, close }
  } catch (error) {
    close()
    throw error
  }

  async function textPart(part: TextsConfig, index: number, seed: number): Promise<RowShare> {
    const { length } = config
    const all = await read(part.texts, `tokens-${index}.bin`)
    const bytesPerToken = all.bytes / all.length
    let tokens: TokenStore = all
    if (Array.isArray(part.heldOut)) {
      for (const path of part.heldOut as readonly string[]) {
        const own = await read([path], `tokens-${index}-${heldOut.length}.bin`)
        judge(own, path.split(/[\\/]/).at(-1) ?? path, own.bytes / own.length)
      }
    } else if ((part.heldOut as number) > 0) {
      // enough for a row at least, if there is that much
      const most = Math.floor(all.length / 2)
      const kept = Math.min(most, Math.max(length + 1, Math.round(all.length * (part.heldOut as number))))
      tokens = tokenSlice(all, 0, all.length - kept)
      judge(tokenSlice(all, all.length - kept, all.length), 'end of the texts', bytesPerToken)
    }
    return { share: part.share, rows: textRows({ tokens, length, seed }) }
  }

  function judge(tokens: TokenStore, name: string, bytesPerToken: number): void {
    const rows = textRows({ tokens, length: config.length, seed: null })
    heldOut.push({ name, rows, count: rows.rowsPerEpoch, bytesPerToken })
  }

  function close(): void {
    for (const file of files) file.close()
  }
}

function taskRows(part: TaskConfig, config: TrainConfig, tokenizer: Tokenizer | null, seed: number): Rows {
  const { length } = config
  switch (part.task) {
    case 'mqar':
      return associativeRecall({ ...part, length, seed })
    case 'induction':
      return induction({ ...part, length, seed })
    case 'copying':
    case 'selective-copying':
      return copying({ ...part, length, seed, selective: part.task === 'selective-copying' })
    case 'retrieval': {
      const { form, codes, questions, documentTokens, learn } = part
      const counts = {
        ...(codes && { codes }),
        ...(questions && { questions }),
        ...(documentTokens && { documentTokens }),
      }
      return proseRetrieval({ tokenizer: tokenizer as Tokenizer, length, form, learn, seed, ...counts })
    }
    default:
      return part satisfies never
  }
}

/** The texts of a configuration, for a tokenizer to be learnt from. */
export function trainingTexts(data: readonly DataPart[]): readonly string[] {
  return data.flatMap((part) => ('texts' in part ? part.texts : []))
}
