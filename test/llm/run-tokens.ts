import type { CachedSequence } from '../../src/cache/cached-sequence.ts'
import type { Tensor } from '../../src/device/device.ts'
import type { ModelParts } from '../../src/llm/open-parts.ts'

/** Tokens of a sequence to run in one step. */
export interface TokenShare {
  readonly sequence: CachedSequence
  readonly tokens: readonly number[]
}

/** Runs one step of several sequences and gives the logits of every token of each, after any soft cap. */
export async function runTokens(parts: ModelParts, shares: readonly TokenShare[]): Promise<Float32Array[]> {
  const { runner, cache, checkpoint } = parts
  // those of many tokens first, as steps are packed
  const order = [...shares.keys()].sort((a, b) => Number(single(shares[a])) - Number(single(shares[b])))
  const ids: number[] = []
  const positions: number[] = []
  const slots: number[] = []
  const input = { prefill: [] as object[], decode: [] as object[] }
  for (const i of order) {
    const { sequence, tokens } = shares[i] as TokenShare
    const from = sequence.length
    sequence.reserve(tokens.length)
    const paged = { row: sequence.row, qBase: ids.length, qLength: tokens.length, kLength: from + tokens.length }
    input[single(shares[i]) ? 'decode' : 'prefill'].push(paged)
    ids.push(...tokens)
    positions.push(...tokens.map((_, at) => from + at))
    slots.push(...sequence.slots(from, from + tokens.length))
  }
  cache.flush()
  let logits: Tensor | null = null
  const tail = {
    key: `logits ${Math.random()}`,
    enqueue: (tensor: Tensor) => {
      logits = tensor.view({ shape: tensor.shape, offset: tensor.offset })
    },
  }
  const rows = ids.map((_, i) => i)
  runner.run({ ids, positions, slots, rows, ...input } as Parameters<typeof runner.run>[0], tail)
  for (const { sequence, tokens } of shares) sequence.append(tokens)
  const made = logits as Tensor | null
  if (!made) throw new Error('no logits were enqueued')
  const all = (await made.read()) as Float32Array
  made.dispose()
  const { vocabSize, logits: head } = checkpoint.spec
  const cap = head.softCap
  const capped = cap === null ? all : all.map((x) => cap * Math.tanh(x / cap))
  const results: Float32Array[] = []
  let at = 0
  for (const i of order) {
    const length = (shares[i] as TokenShare).tokens.length * vocabSize
    results[i] = capped.slice(at, at + length)
    at += length
  }
  return results
}

function single(share: TokenShare | undefined): boolean {
  return share?.tokens.length === 1
}
