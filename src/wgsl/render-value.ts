import { isLeaf, isScalar, type Node } from '../ir/index.ts'
import { renderBinary, renderCast, renderLookup, renderUnary } from './element-functions.ts'
import type { Lowering } from './lowering.ts'
import type { Place } from './place.ts'
import { renderLoad } from './render-load.ts'
import type { TextWriter } from './text-writer.ts'
import { literal, valueType, type Width, widen } from './value-type.ts'

/** The width in which a node is evaluated at a place. */
export function widthAt(node: Node, place: Place): Width {
  return node.cols === 1 ? 1 : place.width
}

/**
 * WGSL of a value at a place, in its own width (see `widthAt`). Values held in registers are read by name, which needs a
 * place with a slot unless they are scalars; everything else is computed from the coordinates.
 */
export function renderValue(l: Lowering, w: TextWriter, node: Node, place: Place): string {
  const named = node.op === 'arg' || node.op === 'result' || (l.program.ids.has(node) && !l.isVirtual(node))
  if (named && !isLeafValue(node)) {
    if (place.slot && place.width === 4) return l.register(node, place.slot.i, place.slot.j)
    if (isScalar(node)) return l.register(node, 0, 0)
    if (!l.isPointwise?.(node))
      throw new Error(`renderValue: ${node.op} [${node.rows}, ${node.cols}] is held in registers of another layout`)
  }
  return renderOperation(l, w, node, place)
}

function isLeafValue(node: Node): boolean {
  return isLeaf(node) && node.op !== 'arg'
}

/** As `renderValue`, repeated to `width`. */
export function renderWide(l: Lowering, w: TextWriter, node: Node, place: Place, width: Width): string {
  return widen(renderValue(l, w, node, place), node.dtype, widthAt(node, place), width)
}

/** WGSL of the operation of an element-wise node or leaf, whether or not its value has a name. */
export function renderOperation(l: Lowering, w: TextWriter, node: Node, place: Place): string {
  const width = widthAt(node, place)
  const wide = (x: Node) => renderWide(l, w, x, place, width)
  switch (node.op) {
    case 'const':
      return widen(literal(node.value, node.dtype), node.dtype, 1, width)
    case 'programId':
      return `program_${'xyz'[node.axis]}`
    case 'scalar':
      return l.args.scalar(node.param)
    case 'size':
      return l.args.size(node.tensor, node.dim)
    case 'iota':
      if (node.axis === 'rows') return node.rows === 1 ? '0i' : place.row
      if (node.cols === 1) return '0i'
      return width === 4 ? w.share(`vec4<i32>(${place.col}) + vec4<i32>(0i, 1i, 2i, 3i)`, 'cols') : place.col
    case 'unary':
      return renderUnary(node.fn, wide(node.x), node.x.dtype, width, l.helper)
    case 'binary': {
      const constant = node.b.op === 'const' ? node.b.value : null
      return renderBinary(node.fn, wide(node.a), wide(node.b), node.a.dtype, width, l.helper, constant)
    }
    case 'select':
      return `select(${wide(node.b)}, ${wide(node.a)}, ${isScalar(node.cond) ? renderValue(l, w, node.cond, place) : wide(node.cond)})`
    case 'cast':
      return renderCast(wide(node.x), node.x.dtype, node.dtype, width, l.halves, l.helper)
    case 'lookup':
      return renderLookup(w, node.table, wide(node.x), width)
    case 'broadcast':
      return wide(node.x)
    case 'transpose':
      return renderTransposed(l, w, node.x, place, width)
    case 'load':
      return renderLoad(l, w, node, place, renderValue)
    default:
      throw new Error(`renderOperation: ${node.op} is not element-wise`)
  }
}

/** Columns of a transpose are rows of `x`, which are computed one by one. */
function renderTransposed(l: Lowering, w: TextWriter, x: Node, place: Place, width: Width): string {
  const elements = Array.from({ length: width }, (_, c) =>
    renderValue(l, w, x, {
      row: c ? w.share(`${place.col} + ${c}i`, 'row') : place.col,
      col: place.row,
      width: 1,
      rowEnd: place.colEnd,
      colEnd: place.rowEnd,
      slot: null,
    }),
  )
  return width === 1 ? (elements[0] as string) : `${valueType(x.dtype, 4)}(${elements.join(', ')})`
}
