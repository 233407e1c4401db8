import { FoveaError } from '../../ir/error.ts'
import type { Node } from '../../ir/node.ts'
import {
  f32x4,
  get,
  type Instruction,
  i32,
  type Local,
  load,
  onLane,
  op,
  set,
  shuffle32,
  store,
} from '../assembler/instruction.ts'
import { multiplyAdd } from '../math/vector-math.ts'
import type { DotOperation } from '../plan/operation.ts'
import type { Slot } from '../plan/slot.ts'
import { laneEmitter } from './emit-lanes.ts'
import { scalarValue } from './emit-scalar.ts'
import type { EmitScope } from './emit-scope.ts'
import { emitVariants } from './emit-variants.ts'
import { advance, Hoists } from './hoists.ts'
import { LoadedBytes, PassFrame, type RowFrame } from './pass-frame.ts'
import { reachable } from './pass-reach.ts'
import { countRows, type RowCount, type SteadyRows, steadyRows } from './steady-rows.ts'

/**
 * A product of few rows whose right operand is computed as it is used: out = a · b, or start · factor + a · b. Each element
 * of b is loaded once, straight from its tensor, and multiplied for all rows.
 */
export function emitStreamedDot(scope: EmitScope, operation: DotOperation): void {
  const { f } = scope
  const { node, out } = operation
  f.comment(`[${node.rows}, ${node.a.cols}] · streamed [${node.b.rows}, ${node.b.cols}]${node.transposeB ? 'ᵀ' : ''}`)
  const emit = node.transposeB ? emitRowProducts : emitRowSums
  emitVariants(
    scope,
    node.b,
    (decisions) => reachable(scope.plan, { roots: [] }, decisions, [node.b]),
    (frame, inside) => {
      const steady = inside ? steadyRows(frame, node.b) : null
      const write = (rows: SteadyRows | null) => () => f.scoped(() => emit(frame, inside, operation, rows))
      if (steady) f.when(steady.test, write(steady), write(null))
      else write(null)()
    },
  )
  if (out.rows * out.cols === 1) throw new FoveaError('compile', 'compileProgram', 'a streamed product is no scalar')
}

function slotOf(scope: EmitScope, node: Node): Slot {
  const slot = scope.slots.plain.get(node)
  if (!slot) throw new FoveaError('compile', 'compileProgram', `${node.op} [${node.rows}, ${node.cols}] has no buffer`)
  return slot
}

/** rows of b in a turn, and how many sums each of its products is gathered in, by the rows of the product */
const turnShapes = [
  [0, 0],
  [4, 2],
  [4, 1],
  [2, 2],
  [2, 1],
] as const

/** vectors of a row of b in the inner loop's turn */
const turnVectors = 16

/** out[r, n] = start[r, n] · factor[r] + Σ_k a[r, k] · b[n, k]: lanes run along k, and are added up at the end of a row of b. */
function emitRowProducts(
  { decisions, scope }: PassFrame,
  inside: boolean,
  { node, out, start }: DotOperation,
  steady: SteadyRows | null,
): void {
  const { f, scratch } = scope
  const { b } = node
  const [a, target] = [slotOf(scope, node.a), slotOf(scope, out)]
  const [turn, parts] = turnShapes[node.rows] as readonly [number, number]
  const frame = new PassFrame(scope, b.rows, b.cols, decisions)
  const lanes = laneEmitter(frame, { own: new Set(), inside })
  const counted = countRows(scope, steady, turn)
  const rows = turnRows(frame, counted, turn)
  const vectors = b.cols / 4
  const unroll = vectors <= turnVectors ? vectors : turnVectors / 2
  const turns = Math.floor(vectors / unroll)
  const looped = turns > 1 ? turns * unroll : 0
  const sums = Array.from({ length: parts }, () =>
    Array.from({ length: node.rows }, () => rows.map(() => f.local('v128', 'acc'))),
  )
  const aPointer = f.let(get(scratch), 'a')
  const outPointer = f.let(get(scratch), 'out')
  const factors = Array.from({ length: node.rows }, (_, r) => startFactor(scope, start?.factor ?? null, r))
  // bytes are loaded for two vectors at once
  const pairs = (count: number) => {
    for (let vector = 0; vector < count; vector += 2)
      f.scoped(() => {
        const bytes = rows.map(() => new LoadedBytes(f))
        for (let at = vector; at < Math.min(vector + 2, count); at++) step(at, bytes)
      })
  }
  const step = (vector: number, bytes: readonly LoadedBytes[]) =>
    f.scoped(() => {
      const values = rows.map((row, j) => {
        const at = { row, lane: vector * 4, known: new Map(), bytes: bytes[j] as LoadedBytes }
        return f.let(lanes(b, at), 'value')
      })
      ;(sums[vector % parts] as Local[][]).forEach((row, r) => {
        const left = f.let(load('v128.load', get(aPointer), a.storage.offset + r * a.rowStride + vector * 16), 'left')
        row.forEach((sum, j) => {
          f.emit(set(sum, multiplyAdd(scope.relaxed, get(left), get(values[j] as Local), get(sum))))
        })
      })
    })
  const inner = f.capture(() => {
    pairs(looped > 0 ? unroll : 0)
  })
  const tail = f.capture(() => {
    pairs(vectors - looped)
  })
  f.emit(...frame.uniforms.statements, ...frame.hoists.statements)
  f.forRange(frame.rowCounter, i32(0), i32(b.rows), turn, () => {
    f.emit(...rows.flatMap((row) => row.hoists.statements))
    for (const part of sums) for (const row of part) for (const sum of row) f.emit(set(sum, f32x4(0)))
    if (looped > 0) {
      f.emit(set(aPointer, get(scratch)))
      const moves = frame.laneAdvances.map(({ local, step: each }) => [local, each * unroll * 4] as const)
      f.repeat(turns, [...moves, [aPointer, unroll * 16]], () => f.emit(...inner))
    }
    f.emit(...tail)
    for (let r = 0; r < node.rows; r++)
      f.scoped(() => {
        const totals = rows.map((_, j) =>
          sums.map((part) => get(part[r]?.[j] as Local)).reduce((x, y) => op('f32x4.add', x, y)),
        )
        const whole = addLanes(scope, totals)
        const sum = start
          ? op('f32x4.add', startValue(scope, start.base, r, get(outPointer), 0, factors[r] ?? null), whole)
          : whole
        const offset = target.storage.offset + r * target.rowStride
        if (turn === 4) f.emit(store('v128.store', get(outPointer), sum, offset))
        else f.emit(onLane('v128.store64_lane', 0, [get(outPointer), sum], offset))
      })
    f.emit(set(outPointer, op('i32.add', get(outPointer), i32(4 * turn))))
    endTurn(frame, counted, turn, looped)
  })
}

/** The sums of the lanes of two or four vectors, side by side. */
function addLanes({ f }: EmitScope, vectors: readonly Instruction[]): Instruction {
  const locals = vectors.map((vector) => f.let(vector, 'sum'))
  const halves: Local[] = []
  for (let i = 0; i < locals.length; i += 2) {
    const [x, y] = [get(locals[i] as Local), get(locals[i + 1] as Local)]
    halves.push(f.let(op('f32x4.add', shuffle32(x, y, [0, 1, 4, 5]), shuffle32(x, y, [2, 3, 6, 7])), 'half'))
  }
  const [x, y] = [get(halves[0] as Local), get(halves[halves.length - 1] as Local)]
  return op('f32x4.add', shuffle32(x, y, [0, 2, 4, 6]), shuffle32(x, y, [1, 3, 5, 7]))
}

/** vectors of columns whose sums stay in registers, by the rows of the product */
const columnBlocks = [0, 8, 4, 3, 2] as const

/** out[r, c] = start[r, c] · factor[r] + Σ_n a[r, n] · b[n, c]: a few columns at a time, over all rows of b. */
function emitRowSums(
  { decisions, scope }: PassFrame,
  inside: boolean,
  operation: DotOperation,
  steady: SteadyRows | null,
): void {
  const vectors = operation.node.cols / 4
  const blocks = Math.ceil(vectors / (columnBlocks[operation.node.rows] as number))
  for (let block = 0; block < blocks; block++) {
    const from = Math.floor((block * vectors) / blocks)
    const count = Math.floor(((block + 1) * vectors) / blocks) - from
    const frame = new PassFrame(scope, operation.node.b.rows, operation.node.b.cols, decisions)
    scope.f.scoped(() => emitColumns(frame, inside, operation, steady, from, count))
  }
}

function emitColumns(
  frame: PassFrame,
  inside: boolean,
  { node, out, start }: DotOperation,
  steady: SteadyRows | null,
  from: number,
  count: number,
): void {
  const { scope } = frame
  const { f, scratch } = scope
  const { b } = node
  const [a, target] = [slotOf(scope, node.a), slotOf(scope, out)]
  const turn = 4
  const lanes = laneEmitter(frame, { own: new Set(), inside })
  const counted = countRows(scope, steady, turn)
  const rows = turnRows(frame, counted, turn)
  const sums = Array.from({ length: node.rows }, () => Array.from({ length: count }, () => f.local('v128', 'acc')))
  const aPointer = f.let(get(scratch), 'a')
  const inner = f.capture(() => {
    rows.forEach((row, n) => {
      f.scoped(() => {
        const spread = sums.map((_, r) =>
          f.let(load('v128.load32_splat', get(aPointer), a.storage.offset + r * a.rowStride + n * 4), 'left'),
        )
        const bytes = new LoadedBytes(f)
        for (let c = 0; c < count; c++)
          f.scoped(() => {
            const value = f.let(lanes(b, { row, lane: (from + c) * 4, known: new Map(), bytes }), 'value')
            sums.forEach((list, r) => {
              const sum = list[c] as Local
              f.emit(set(sum, multiplyAdd(scope.relaxed, get(spread[r] as Local), get(value), get(sum))))
            })
          })
      })
    })
  })
  f.emit(...frame.uniforms.statements, ...frame.hoists.statements)
  sums.forEach((list, r) => {
    const factor = startFactor(scope, start?.factor ?? null, r)
    list.forEach((sum, c) => {
      f.emit(set(sum, start ? startValue(scope, start.base, r, get(scratch), from + c, factor) : f32x4(0)))
    })
  })
  f.forRange(frame.rowCounter, i32(0), i32(b.rows), turn, () => {
    f.emit(...rows.flatMap((row) => row.hoists.statements), ...inner)
    f.emit(set(aPointer, op('i32.add', get(aPointer), i32(4 * turn))))
    endTurn(frame, counted, turn, 0)
  })
  sums.forEach((list, r) => {
    list.forEach((sum, c) => {
      f.emit(
        store('v128.store', get(scratch), get(sum), target.storage.offset + r * target.rowStride + (from + c) * 16),
      )
    })
  })
}

/** What the sum of four columns of row r starts as. */
function startValue(
  scope: EmitScope,
  base: Node,
  r: number,
  pointer: Instruction,
  vector: number,
  factor: Local | null,
): Instruction {
  const { storage, rowStride } = slotOf(scope, base)
  const value = load('v128.load', pointer, storage.offset + r * rowStride + vector * 16)
  return factor ? op('f32x4.mul', value, get(factor)) : value
}

/** The factor of row r of what a sum starts from, in all lanes. */
function startFactor(scope: EmitScope, factor: Node | null, r: number): Local | null {
  if (!factor) return null
  if (factor.rows * factor.cols === 1) return scope.f.let(op('f32x4.splat', scalarValue(scope, factor)), 'factor')
  const { offset } = slotOf(scope, factor).storage
  return scope.f.let(load('v128.load32_splat', get(scope.scratch), offset + r * 4), 'factor')
}

/** The rows of a turn; steady loads have their addresses counted on from the turn's first. */
function turnRows(frame: PassFrame, counted: readonly RowCount[], turn: number): readonly RowFrame[] {
  const { f } = frame.scope
  const rows: RowFrame[] = Array.from({ length: turn }, (_, index) => ({ index, hoists: new Hoists(f) }))
  for (const { node, width, base, step } of counted) {
    let before: Local | null = null
    for (const row of rows) {
      const address: Instruction = before ? op('i32.add', get(before), get(step)) : get(base)
      before = frame.perRowPointer(row, node, 'source', width, () => address)
    }
  }
  return rows
}

/** Moves what counts rows on to the next turn. */
function endTurn(frame: PassFrame, counted: readonly RowCount[], turn: number, looped: number): void {
  const { f } = frame.scope
  for (const { base, turn: bytes } of counted) f.emit(set(base, op('i32.add', get(base), get(bytes))))
  for (const [stride, local] of frame.tilePointers) f.emit(advance({ local, step: stride * turn - looped * 16 }))
  for (const entry of frame.rowAdvances) f.emit(advance(entry, turn))
}
