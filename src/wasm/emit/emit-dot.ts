import { FoveaError } from '../../ir/error.ts'
import { isScalar, type Node } from '../../ir/node.ts'
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
  store,
} from '../assembler/instruction.ts'
import { multiplyAdd } from '../math/vector-math.ts'
import type { DotOperation } from '../plan/operation.ts'
import type { Slot } from '../plan/slot.ts'
import { scalarValue } from './emit-scalar.ts'
import type { EmitScope } from './emit-scope.ts'

/** How the micro-kernels of one product reach their operands; strides in bytes. */
interface Product {
  readonly rows: number
  readonly inner: number
  readonly cols: number
  readonly a: { readonly offset: number; readonly row: number; readonly inner: number }
  readonly b: { readonly offset: number; readonly row: number }
  readonly out: { readonly offset: number; readonly row: number }
  readonly start: { readonly offset: number; readonly row: number; readonly factor: Factor } | null
}

type Factor =
  | { readonly kind: 'one' }
  | { readonly kind: 'all'; readonly lanes: Local }
  | { readonly kind: 'rows'; readonly offset: number }

// accumulators, the operands of one step and a scratch register have to fit V8's 15 vector registers: vectors a row, by rows
const narrowBlocks = [0, 6, 4, 3, 2, 2, 2] as const
// the same when the engine joins neighbouring vectors into one register
const wideBlocks = [0, 8, 8, 6, 4, 4, 4] as const
const blockRows = 6

/**
 * out = a · b, or start · factor + a · b, by register-blocked micro-kernels: a block of rows times a few vectors of columns
 * stays in registers over the whole inner dimension. One element of a is spread over a vector; b is read in rows.
 */
export function emitDot(scope: EmitScope, { node, out, start }: DotOperation): void {
  const { f } = scope
  const aSlot = plainSlot(scope, node.a)
  const bSlot = node.transposeB ? scope.slots.transposed.get(node.b) : plainSlot(scope, node.b)
  if (!bSlot) throw new FoveaError('compile', 'compileProgram', 'an operand of dot has no buffer')
  const outSlot = plainSlot(scope, out)
  f.scoped(() => {
    const product: Product = {
      rows: node.rows,
      inner: node.transposeA ? node.a.rows : node.a.cols,
      cols: node.cols,
      a: {
        offset: aSlot.storage.offset,
        row: node.transposeA ? 4 : aSlot.rowStride,
        inner: node.transposeA ? aSlot.rowStride : 4,
      },
      b: { offset: bSlot.storage.offset, row: bSlot.rowStride },
      out: { offset: outSlot.storage.offset, row: outSlot.rowStride },
      start: start && startOf(scope, start.base, start.factor),
    }
    f.comment(`[${product.rows}, ${product.inner}] · [${product.inner}, ${product.cols}]`)
    const row = f.local('i32', 'block')
    const whole = Math.floor(product.rows / blockRows)
    const rest = product.rows % blockRows
    if (whole > 0) {
      f.emit(set(row, i32(0)))
      f.repeat(whole, [[row, blockRows]], () => columnBlocks(scope, product, row, blockRows))
    } else f.emit(set(row, i32(0)))
    if (rest > 0) columnBlocks(scope, product, row, rest)
    if (!isScalar(out)) return
    const local = scope.scalars.get(out) ?? f.localOf(undefined, 'f32', 'product')
    scope.scalars.set(out, local)
    f.emit(set(local, load('f32.load', get(scope.scratch), product.out.offset)))
  })
}

function plainSlot(scope: EmitScope, node: Node): Slot {
  const slot = scope.slots.plain.get(node)
  if (!slot) throw new FoveaError('compile', 'compileProgram', `${node.op} [${node.rows}, ${node.cols}] has no buffer`)
  return slot
}

function startOf(scope: EmitScope, base: Node, factor: Node | null): NonNullable<Product['start']> {
  const slot = plainSlot(scope, base)
  const place = { offset: slot.storage.offset, row: slot.rowStride }
  if (!factor) return { ...place, factor: { kind: 'one' } }
  if (!isScalar(factor)) return { ...place, factor: { kind: 'rows', offset: plainSlot(scope, factor).storage.offset } }
  return {
    ...place,
    factor: { kind: 'all', lanes: scope.f.let(op('f32x4.splat', scalarValue(scope, factor)), 'factor') },
  }
}

/** All columns of `height` rows from row `row` on. */
function columnBlocks(scope: EmitScope, product: Product, row: Local, height: number): void {
  const { f } = scope
  const at = (stride: number, name: string) =>
    f.let(op('i32.add', get(scope.scratch), op('i32.mul', get(row), i32(stride))), name)
  const aRow = at(product.a.row, 'a-row')
  const out = at(product.out.row, 'out')
  const start = product.start && product.start.row !== product.out.row ? at(product.start.row, 'start') : out
  const factor = product.start?.factor.kind === 'rows' ? at(4, 'factors') : out
  const b = f.let(get(scope.scratch), 'b-column')
  const vectors = Math.ceil(product.cols / 4)
  const width = Math.min(vectors, (scope.wide ? wideBlocks : narrowBlocks)[height] as number)
  const pointers = { aRow, b, out, start, factor }
  const moving = new Set([b, out, start])
  const turns = Math.floor(vectors / width)
  f.repeat(
    turns,
    turns > 1 || vectors % width > 0 ? [...moving].map((local) => [local, width * 16] as const) : [],
    () => microKernel(scope, product, pointers, height, width),
  )
  if (vectors % width > 0) microKernel(scope, product, pointers, height, vectors % width)
}

interface BlockPointers {
  readonly aRow: Local
  readonly b: Local
  readonly out: Local
  readonly start: Local
  readonly factor: Local
}

function microKernel(scope: EmitScope, product: Product, pointers: BlockPointers, height: number, width: number): void {
  const { f } = scope
  const { inner } = product
  f.scoped(() => {
    const sums = Array.from({ length: height }, () => Array.from({ length: width }, () => f.local('v128', 'acc')))
    const columns = Array.from({ length: width }, () => f.local('v128', 'b'))
    const spread = f.local('v128', 'a')
    initialise(scope, product, pointers, sums, spread)
    const a = f.let(get(pointers.aRow), 'a')
    const b = f.let(get(pointers.b), 'b')
    const step = (k: number) => {
      columns.forEach((column, c) => {
        f.emit(set(column, load('v128.load', get(b), product.b.offset + k * product.b.row + c * 16)))
      })
      sums.forEach((row, r) => {
        f.emit(
          set(spread, load('v128.load32_splat', get(a), product.a.offset + r * product.a.row + k * product.a.inner)),
        )
        row.forEach((sum, c) => {
          f.emit(set(sum, multiplyAdd(scope.relaxed, get(spread), get(columns[c] as Local), get(sum))))
        })
      })
    }
    const unroll = inner <= 8 ? inner : 4
    const turns = Math.floor(inner / unroll)
    const moves = [[a, unroll * product.a.inner] as const, [b, unroll * product.b.row] as const]
    f.repeat(turns, turns > 1 || inner % unroll > 0 ? moves : [], () => {
      for (let k = 0; k < unroll; k++) step(k)
    })
    for (let k = 0; k < inner % unroll; k++) step(k)
    sums.forEach((row, r) => {
      row.forEach((sum, c) => {
        const offset = product.out.offset + r * product.out.row + c * 16
        if (product.cols === 1) f.emit(onLane('v128.store32_lane', 0, [get(pointers.out), get(sum)], offset))
        else f.emit(store('v128.store', get(pointers.out), get(sum), offset))
      })
    })
  })
}

/** Accumulators start at 0, or at the block of `start` times its rows' factors. */
function initialise(
  scope: EmitScope,
  product: Product,
  pointers: BlockPointers,
  sums: readonly (readonly Local[])[],
  spread: Local,
): void {
  const { f } = scope
  const { start } = product
  sums.forEach((row, r) => {
    if (start?.factor.kind === 'rows')
      f.emit(set(spread, load('v128.load32_splat', get(pointers.factor), start.factor.offset + r * 4)))
    row.forEach((sum, c) => {
      if (!start) {
        f.emit(set(sum, f32x4(0)))
        return
      }
      const offset = start.offset + r * start.row + c * 16
      const value: Instruction = load(
        product.cols === 1 ? 'v128.load32_zero' : 'v128.load',
        get(pointers.start),
        offset,
      )
      const factor = start.factor.kind === 'one' ? null : get(start.factor.kind === 'all' ? start.factor.lanes : spread)
      f.emit(set(sum, factor ? op('f32x4.mul', value, factor) : value))
    })
  })
}
