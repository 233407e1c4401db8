import type { Node } from '../ir/index.ts'
import type { MemoryRange } from './barriers.ts'
import type { StagedType } from './dot-plan.ts'

/** Workgroup memory that one operation uses: its parts are in use together, those of other operations need not be. */
export interface MemoryRequest {
  readonly owner: Node
  readonly parts: readonly {
    readonly role: string
    readonly type: StagedType
    readonly chunks: number
    readonly kept: boolean
  }[]
}

/** Where every part lies. `memory` holds chunks of f32, `memory16` of f16. */
export interface MemoryLayout {
  readonly range: (owner: Node, role: string) => MemoryRange
  readonly chunks: Readonly<Record<StagedType, number>>
  readonly bytes: number
}

export const memoryArrays: Readonly<Record<StagedType, string>> = { f32: 'memory', f16: 'memory16' }
const chunkBytes: Readonly<Record<StagedType, number>> = { f32: 16, f16: 8 }
const types = ['f32', 'f16'] as const

/**
 * Lays the parts out: kept ones first, each for itself; the others behind them in order of use, beginning anew at the front
 * when the end is reached. So operations share memory only when there is too little, which costs barriers. The layout may be
 * larger than `bytes`; the caller decides what then.
 */
export function layOutMemory(requests: readonly MemoryRequest[], bytes: number): MemoryLayout {
  const kept = { f32: 0, f16: 0 }
  const most = { f32: 0, f16: 0 }
  const sum = { f32: 0, f16: 0 }
  for (const { parts } of requests) {
    for (const type of types) {
      const passing = total(parts, type, false)
      kept[type] += total(parts, type, true)
      most[type] = Math.max(most[type], passing)
      sum[type] += passing
    }
  }
  const needed = types.reduce((n, type) => n + (kept[type] + most[type]) * chunkBytes[type], 0)
  let spare = Math.max(0, bytes - needed)
  const room = { ...most }
  for (const type of types) {
    const extra = Math.min(sum[type] - most[type], Math.floor(spare / chunkBytes[type]))
    room[type] += extra
    spare -= extra * chunkBytes[type]
  }
  const ranges = new Map<Node, Map<string, MemoryRange>>()
  const nextKept = { f32: 0, f16: 0 }
  const next = { f32: 0, f16: 0 }
  for (const { owner, parts } of requests) {
    const own = new Map<string, MemoryRange>()
    for (const type of types) if (next[type] + total(parts, type, false) > room[type]) next[type] = 0
    for (const { role, type, chunks, kept: stays } of parts) {
      const from = stays ? nextKept[type] : kept[type] + next[type]
      if (stays) nextKept[type] += chunks
      else next[type] += chunks
      own.set(role, { array: memoryArrays[type], from, to: from + chunks })
    }
    ranges.set(owner, own)
  }
  const chunks = { f32: kept.f32 + room.f32, f16: kept.f16 + room.f16 }
  return {
    range: (owner, role) => {
      const range = ranges.get(owner)?.get(role)
      if (!range) throw new Error(`layOutMemory: ${owner.op} has no ${role}`)
      return range
    },
    chunks,
    bytes: types.reduce((n, type) => n + chunks[type] * chunkBytes[type], 0),
  }
}

function total(parts: MemoryRequest['parts'], type: StagedType, kept: boolean): number {
  return parts.reduce((sum, part) => sum + (part.type === type && part.kept === kept ? part.chunks : 0), 0)
}
