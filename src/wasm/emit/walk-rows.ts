import { i32 } from '../assembler/instruction.ts'
import { advance, Hoists } from './hoists.ts'
import type { PassFrame, Position, RowFrame } from './pass-frame.ts'

/** What happens at each place of a walk. `count` lanes of the four are inside the row. */
export interface RowWork {
  /** computes all there is at a position; the writes, one for each buffer or tensor, are emitted when they are called */
  compute(at: Position, count: number): readonly (() => void)[]
  before(): void
  beforeRow(row: RowFrame): void
  afterRow(row: RowFrame): void
}

/** about how many instructions a turn of the inner loop may hold */
const turnWeight = 320

/**
 * Emits a pass's loops: rows outside, lanes inside, unrolled. The body is emitted first, and asks while it is for what is to
 * be computed before the pass and before each row.
 */
export function walkRows(frame: PassFrame, weight: number, work: RowWork): void {
  const { f } = frame.scope
  const row: RowFrame = { index: 0, hoists: new Hoists(f) }
  const whole = Math.floor(frame.laneCount / 4)
  const rest = frame.laneCount % 4
  const { unroll, turns } = chooseUnroll(whole, Math.max(1, Math.floor(turnWeight / weight)))
  const looped = turns > 1 ? turns * unroll : 0

  // two neighbouring positions are computed before either is written: engines that join vectors ask for that
  const positions = (first: number, vectors: number, count = 4) => {
    for (let vector = 0; vector < vectors; vector += 2) {
      f.scoped(() => {
        const pair = vector + 1 < vectors ? [vector, vector + 1] : [vector]
        const writes = pair.map((at) => work.compute({ row, lane: (first + at) * 4, known: new Map() }, count))
        for (const index of writes[0]?.keys() ?? []) for (const list of writes) list[index]?.()
      })
    }
  }
  const inner = f.capture(() => positions(0, looped > 0 ? unroll : 0))
  const tail = f.capture(() => {
    positions(0, whole - looped)
    if (rest > 0) positions(whole - looped, 1, rest)
  })
  const before = f.capture(() => work.before())
  const beforeRow = f.capture(() => work.beforeRow(row))
  const afterRow = f.capture(() => f.scoped(() => work.afterRow(row)))

  f.emit(...before, ...frame.uniforms.statements, ...frame.hoists.statements)
  const oneRow = () => {
    f.emit(...row.hoists.statements, ...beforeRow)
    if (looped > 0)
      f.repeat(
        turns,
        frame.laneAdvances.map(({ local, step }) => [local, step * unroll * 4] as const),
        () => f.emit(...inner),
      )
    f.emit(...tail, ...afterRow)
  }
  if (frame.outerCount === 1) {
    oneRow()
    return
  }
  f.forRange(frame.rowCounter, i32(0), i32(frame.outerCount), 1, () => {
    oneRow()
    for (const [stride, local] of frame.tilePointers) {
      // a row that is walked in whole turns ends where the next one starts
      if (stride !== looped * 16) f.emit(advance({ local, step: stride - looped * 16 }))
    }
    for (const entry of frame.rowAdvances) f.emit(advance(entry))
  })
}

/** All of a short row at once; else the largest even share, or what leaves a remainder to the tail. */
export function chooseUnroll(vectors: number, most: number): { unroll: number; turns: number } {
  const limit = Math.min(8, most)
  if (vectors <= limit) return { unroll: vectors, turns: 1 }
  for (let unroll = limit; unroll > limit / 2; unroll--)
    if (vectors % unroll === 0) return { unroll, turns: vectors / unroll }
  return { unroll: limit, turns: Math.floor(vectors / limit) }
}
