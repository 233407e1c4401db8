import { FoveaError } from '../../ir/error.ts'
import type { Node } from '../../ir/node.ts'
import { get, type Instruction, i32, type Local, op, set, shuffle32, store } from '../assembler/instruction.ts'
import type { TransposeOperation } from '../plan/operation.ts'
import { laneEmitter } from './emit-lanes.ts'
import type { EmitScope } from './emit-scope.ts'
import { emitVariants } from './emit-variants.ts'
import { advance, Hoists } from './hoists.ts'
import type { PassFrame, RowFrame } from './pass-frame.ts'
import { reachable } from './pass-reach.ts'

/** Writes the transpose of a value: four rows at a time, computed like those of a pass, leave as four columns. */
export function emitTranspose(scope: EmitScope, { source, node }: TransposeOperation): void {
  const { slots } = scope
  const slot = node ? slots.plain.get(node) : slots.transposed.get(source)
  if (!slot) throw new FoveaError('compile', 'compileProgram', 'a transpose has no buffer')
  emitVariants(
    scope,
    source,
    // what the source is made from: itself when it lies in a buffer
    (decisions) => reachable(scope.plan, { roots: [] }, decisions, [source]),
    (frame, inside, weight) => emitBlocks(frame, source, slot.storage.offset, slot.rowStride, inside, weight),
  )
}

function emitBlocks(
  frame: PassFrame,
  source: Node,
  offset: number,
  stride: number,
  inside: boolean,
  weight: number,
): void {
  const { f, scratch } = frame.scope
  const lanes = laneEmitter(frame, { own: new Set(), inside })
  const vector = source.rows === 1 || source.cols === 1
  const blockRows = vector ? 1 : 4
  const blocks = vector ? 1 : Math.ceil(source.rows / 4)
  const vectors = Math.ceil(frame.laneCount / 4)
  const rows: RowFrame[] = Array.from({ length: blockRows }, (_, index) => ({ index, hoists: new Hoists(f) }))
  // the columns that four lanes leave as; a vector leaves as it is, its transpose has the same bytes
  const target = f.local('i32', 'target')
  const block = (lane: number) =>
    f.scoped(() => {
      const values = rows.map((row) => f.let(lanes(source, { row, lane, known: new Map() }), 'value'))
      const columns = vector
        ? values.map(get)
        : transposeFour(values as [Local, Local, Local, Local], (value) => f.let(value, 'lanes'))
      columns.forEach((column, index) => {
        f.emit(store('v128.store', get(target), column, offset + (vector ? lane * 4 : (lane + index) * stride)))
      })
    })
  const unroll = Math.max(1, Math.min(vectors, 4, Math.floor(160 / (weight * blockRows + 12))))
  const turns = Math.floor(vectors / unroll)
  const looped = turns > 1 ? turns * unroll : 0
  const inner = f.capture(() => {
    for (let index = 0; index < unroll && looped > 0; index++) block(index * 4)
  })
  const tail = f.capture(() => {
    for (let index = 0; index < vectors - looped; index++) block(index * 4)
  })
  f.emit(...frame.uniforms.statements, ...frame.hoists.statements)
  const targetStep = vector ? 16 : 4 * stride
  const oneBlock = () => {
    const start = vector ? get(scratch) : op('i32.add', get(scratch), op('i32.mul', get(frame.rowCounter), i32(4)))
    f.emit(...rows.flatMap((row) => row.hoists.statements), set(target, start))
    if (looped > 0)
      f.repeat(
        turns,
        [
          ...frame.laneAdvances.map(({ local, step }) => [local, step * unroll * 4] as const),
          [target, targetStep * unroll],
        ],
        () => f.emit(...inner),
      )
    f.emit(...tail)
  }
  if (blocks === 1) {
    f.emit(set(frame.rowCounter, i32(0)))
    oneBlock()
    return
  }
  f.forRange(frame.rowCounter, i32(0), i32(source.rows), 4, () => {
    oneBlock()
    for (const [tileStride, local] of frame.tilePointers) f.emit(advance({ local, step: tileStride * 4 - looped * 16 }))
    for (const entry of frame.rowAdvances) f.emit(advance(entry, 4))
  })
}

function transposeFour(
  rows: readonly [Local, Local, Local, Local],
  keep: (value: Instruction) => Local,
): Instruction[] {
  const [a, b, c, d] = rows
  const low = [keep(shuffle32(get(a), get(b), [0, 4, 1, 5])), keep(shuffle32(get(c), get(d), [0, 4, 1, 5]))] as const
  const high = [keep(shuffle32(get(a), get(b), [2, 6, 3, 7])), keep(shuffle32(get(c), get(d), [2, 6, 3, 7]))] as const
  return [low, high].flatMap(([left, right]) => [
    shuffle32(get(left), get(right), [0, 1, 4, 5]),
    shuffle32(get(left), get(right), [2, 3, 6, 7]),
  ])
}
