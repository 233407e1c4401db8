import type { PageFormat } from '../attention/paged/page-pool.ts'
import type { Projected } from './write-pages-spec.ts'

export interface WriteCase {
  readonly name: string
  readonly N: number
  readonly H: number
  readonly G: number
  readonly D: number
  /** of values (D) */
  readonly Dv?: number
  /** of queriesAndKeys, values are divided by their root mean square */
  readonly projected?: Projected
  readonly pageSize: number
  readonly format: PageFormat
  readonly segments: number
  readonly rotaryDim: number | null
  readonly interleaved: boolean
  readonly queryNorm: 'head' | 'all' | null
  readonly keyNorm: 'head' | 'all' | null
  readonly offset: number
  readonly recentTokens: number
  /** storage buffers that a kernel may bind: fewer make several kernels of one */
  readonly buffers: number
}

const plain: WriteCase = {
  ...{ name: '', N: 11, H: 4, G: 2, D: 32, pageSize: 4, format: 'f32', segments: 1 },
  ...{ rotaryDim: 32, interleaved: false, queryNorm: null, keyNorm: null, offset: 0, recentTokens: 0, buffers: 99 },
}
const vary = (name: string, change: Partial<WriteCase>): WriteCase => ({ ...plain, ...change, name })

/** Chosen to expose: one token, part of a head turned, pairs side by side, norms of heads and rows, formats, few buffers. */
export const writeCases: readonly WriteCase[] = [
  vary('rope', {}),
  vary('one token', { N: 1 }),
  vary('no rope', { rotaryDim: null, D: 20 }),
  vary('partial rope, interleaved', { rotaryDim: 12, interleaved: true, D: 40 }),
  vary('norm of heads', { queryNorm: 'head', keyNorm: 'head', offset: 1 }),
  vary('norm of rows, three segments, nine buffers', { queryNorm: 'all', keyNorm: 'all', segments: 3, buffers: 9 }),
  vary('eight buffers', { queryNorm: 'head', keyNorm: 'head', buffers: 8 }),
  vary('f16, two segments', { format: 'f16', segments: 2, G: 1 }),
  vary('bf16', { format: 'bf16' }),
  vary('q8', { format: 'q8', recentTokens: 3 }),
  vary('q8, partial rope, eight buffers', { format: 'q8', rotaryDim: 8, buffers: 8, recentTokens: 5 }),
  vary('q4', { format: 'q4', recentTokens: 4 }),
  vary('q4, partial rope, norms', { format: 'q4', rotaryDim: 12, keyNorm: 'head', segments: 2 }),
  vary('narrow values', { D: 24, Dv: 16, rotaryDim: 8, keyNorm: 'all' }),
  vary('wide values, q8', { D: 12, Dv: 40, rotaryDim: 12, format: 'q8', recentTokens: 5 }),
  vary('narrow values, q4, eight buffers', { D: 24, Dv: 16, rotaryDim: 8, format: 'q4', recentTokens: 4, buffers: 8 }),
  vary('keys as values', { keyNorm: 'head', projected: 'queriesAndKeys' }),
  vary('keys as values, q8, eight buffers', { format: 'q8', recentTokens: 3, buffers: 8, projected: 'queriesAndKeys' }),
  vary('queries alone', { queryNorm: 'head', projected: 'queries' }),
  vary('q4, interleaved', { format: 'q4', interleaved: true, rotaryDim: 20 }),
]

/** Slots of the tokens, every third dropped, and what is recent; positions are not the order of tokens. */
export function writePlaces({ N, pageSize, recentTokens }: WriteCase, random: () => number) {
  const pages = Math.ceil(N / pageSize) + 2
  const order = Array.from({ length: pages * pageSize }, (_, slot) => slot)
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.min(i, Math.floor(Math.abs(random()) * (i + 1)))
    ;[order[i], order[j]] = [order[j] as number, order[i] as number]
  }
  return {
    pages,
    slots: Array.from({ length: N }, (_, n) => (n % 3 === 2 ? -1 : (order[n] as number))),
    recent: Array.from({ length: N }, (_, n) => (n >= N - recentTokens ? recentTokens + (n % recentTokens) : -1)),
    positions: Array.from({ length: N }, (_, n) => (n === 0 ? 4095 : Math.floor(Math.abs(random()) * 4096))),
  }
}
