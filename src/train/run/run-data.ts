import type { Tokenizer } from '../../model/tokenizer.ts'
import type { DataPart, TaskConfig, TextsConfig } from '../config/data-config.ts'
import type { TrainConfig } from '../config/train-config.ts'
import { mixRows, type RowShare } from '../data/mix-rows.ts'
import type { Rows } from '../data/rows.ts'
import { textRows } from '../data/text-rows.ts'
import { type TokenFile, tokenizeFiles } from '../data/token-file.ts'
import { type TokenStore, tokenSlice } from '../data/token-store.ts'
import { associativeRecall } from '../tasks/associative-recall.ts'
import { copying } from '../tasks/copying-rows.ts'
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
  /** rows of so many tokens, to learn from */
  rowsOf(length: number): Rows
  readonly heldOut: readonly HeldOutRows[]
  /** SHA-256 of the tokens of each text, in their order; none for tasks */
  readonly fingerprints: readonly string[]
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
  const begin = tokenizer?.bosToken ?? null
  const files: TokenFile[] = []
  const heldOut: HeldOutRows[] = []
  /** tokens of the parts that are texts, by their place */
  const texts = new Map<number, TokenStore>()
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
  const seedOf = (index: number) => config.seed + 1000003 * index
  const task = (part: TaskConfig, length: number, seed: number) =>
    taskRows(part, { length, seed, tokenizer, texts: [...texts.values()][0] ?? null })
  try {
    for (const [index, part] of config.data.entries())
      if ('texts' in part) texts.set(index, await openTexts(part, index))
    for (const [index, part] of config.data.entries())
      if ('task' in part) {
        const rows = task(part, config.length, seedOf(index) + heldOutSeed)
        heldOut.push({ name: part.task, rows, count: null, bytesPerToken: null })
      }
    return { rowsOf, heldOut, fingerprints: files.map(({ fingerprint }) => fingerprint), close }
  } catch (error) {
    close()
    throw error
  }

  function rowsOf(length: number): Rows {
    const parts = config.data.map((part, index): RowShare => {
      const tokens = texts.get(index)
      const seed = seedOf(index)
      if (tokens) return { share: part.share, rows: textRows({ tokens, length, seed, begin }) }
      return { share: part.share, rows: task(part as TaskConfig, length, seed) }
    })
    return mixRows(parts)
  }

  /** Opens texts, and what they are judged by. */
  async function openTexts(part: TextsConfig, index: number): Promise<TokenStore> {
    const { length } = config
    const all = await read(part.texts, `tokens-${index}.bin`)
    if (Array.isArray(part.heldOut)) {
      for (const path of part.heldOut as readonly string[]) {
        const own = await read([path], `tokens-${index}-${heldOut.length}.bin`)
        judge(own, path.split(/[\\/]/).at(-1) ?? path, own.bytes / own.length)
      }
    } else if ((part.heldOut as number) > 0) {
      // enough for a row at least, if there is that much
      const most = Math.floor(all.length / 2)
      const kept = Math.min(most, Math.max(length + 1, Math.round(all.length * (part.heldOut as number))))
      judge(tokenSlice(all, all.length - kept, all.length), 'end of the texts', all.bytes / all.length)
      return tokenSlice(all, 0, all.length - kept)
    }
    return all
  }

  function judge(tokens: TokenStore, name: string, bytesPerToken: number): void {
    const rows = textRows({ tokens, length: config.length, seed: null, begin })
    heldOut.push({ name, rows, count: rows.rowsPerEpoch, bytesPerToken })
  }

  function close(): void {
    for (const file of files) file.close()
  }
}

interface TaskRows {
  readonly length: number
  readonly seed: number
  readonly tokenizer: Tokenizer | null
  readonly texts: TokenStore | null
}

function taskRows(part: TaskConfig, { length, seed, tokenizer, texts }: TaskRows): Rows {
  const { task: _task, share: _share, ...ofTask } = part as TaskConfig & { readonly share?: number }
  const settings = { ...ofTask, length, seed }
  switch (part.task) {
    case 'mqar':
      return associativeRecall(settings)
    case 'induction':
      return induction(settings)
    case 'copying':
    case 'selective-copying':
      return copying({ ...settings, selective: part.task === 'selective-copying' })
    case 'retrieval': {
      const { form, codes, questions, documentTokens, learn, prose } = part
      const given = {
        ...(codes && { codes }),
        ...(questions && { questions }),
        ...(documentTokens && { documentTokens }),
        ...(prose && texts && { texts }),
      }
      return proseRetrieval({ tokenizer: tokenizer as Tokenizer, length, form, learn, seed, ...given })
    }
    default:
      return part satisfies never
  }
}

/** The texts of a configuration, for a tokenizer to be learnt from. */
export function trainingTexts(data: readonly DataPart[]): readonly string[] {
  return data.flatMap((part) => ('texts' in part ? part.texts : []))
}
