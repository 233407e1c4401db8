import type { LoadNode, Node, StoreNode } from '../ir/node.ts'
import { accessForm, provablyInside } from './access-form.ts'
import type { Lowering } from './lowering.ts'
import type { Place } from './place.ts'
import type { TextWriter } from './text-writer.ts'
import { component, elementType, valueType, type Width, widen } from './value-type.ts'

/** How operands are rendered; passed in, since values and loads are rendered by each other. */
export type RenderOperand = (l: Lowering, w: TextWriter, node: Node, place: Place) => string

/** Where an access goes at a place. */
export interface Access {
  readonly width: Width
  /** four neighbours: `address` is that of the first; else one address per element, in a vector when width is 4 */
  readonly contiguous: boolean
  readonly address: string
  /** may be read or written as one chunk */
  readonly chunk: boolean
  /** scalar condition under which anything is accessed, null: always */
  readonly condition: string | null
  /** condition per element (vec4<bool>), beside `condition`; null: none */
  readonly mask: string | null
}

/** Address and bounds of a load or store at a place: what does not depend on the row or the column is shared. */
export function renderAccess(
  l: Lowering,
  w: TextWriter,
  node: LoadNode | StoreNode,
  place: Place,
  render: RenderOperand,
): Access {
  const { tensor, indices } = node
  const { forms, contiguous: runs, quartered, aligned, whole, steps, stepped } = accessForm(tensor, indices)
  const once = stepped && node.op === 'load' && (node.where?.cols ?? 1) === 1
  const width: Width = node.cols === 1 || once ? 1 : place.width
  const contiguous = runs && width === 4
  const last = indices.length - 1
  const conditions: string[] = []
  const masks: string[] = []
  let uniform = l.args.offset(tensor)
  let byRow = ''
  let byColumn = ''
  indices.forEach((index, dim) => {
    const form = forms[dim] as (typeof forms)[number]
    const own: Width = index.cols === 1 || once ? 1 : place.width
    const step = once ? steps[dim] : null
    const first = contiguous && dim === last
    // of neighbours only the first index is needed
    const value = w.share(
      step
        ? `(${render(l, w, step.base, place)} + ${place.col}) >> ${step.shift}u`
        : first && form.kind === 'range'
          ? `${render(l, w, form.base, place)} + ${place.col}`
          : render(l, w, index, place),
      'i',
    )
    const term = dim === last ? value : `${value} * ${widen(l.args.stride(tensor, dim), 'i32', 1, first ? 1 : own)}`
    if (own === 4 && !first) byColumn += ` + ${term}`
    else if (index.rows === 1 && index.cols === 1) uniform += ` + ${term}`
    else byRow += ` + ${term}`
    const size = l.args.size(tensor, dim)
    const known = tensor.sizes[dim] ?? null
    if (provablyInside(form, known, place.rowEnd, place.colEnd)) return
    if (own === 1 || (first && quartered)) conditions.push(w.share(`u32(${value}) < u32(${size})`, 'ok'))
    else if (!first) masks.push(w.share(`vec4<u32>(${value}) < vec4<u32>(u32(${size}))`, 'ok'))
    if (first && !whole)
      masks.push(w.share(`(vec4<u32>(u32(${value})) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(u32(${size}))`, 'ok'))
  })
  if (node.where) {
    const where = render(l, w, node.where, place)
    if (node.where.cols === 1 || width === 1) conditions.push(w.share(where, 'ok'))
    else masks.push(w.share(where, 'ok'))
  }
  const base = byRow ? `${w.share(uniform, 'base')}${byRow}` : uniform
  const address = byColumn ? `vec4<i32>(${w.share(base, 'base')})${byColumn}` : base
  const scattered = width === 4 && !contiguous
  const at = w.share(address, 'at')
  return {
    width,
    contiguous,
    address: scattered && !byColumn ? `vec4<i32>(${at})` : at,
    chunk: contiguous && aligned && l.bound(tensor).format.chunked,
    condition: conditions.length ? w.share([...new Set(conditions)].join(' & '), 'ok') : null,
    mask: masks.length ? w.share([...new Set(masks)].join(' & '), 'ok') : null,
  }
}

/** The i32 address of element `at` of an access. */
export function elementAddress(access: Access, at: number): string {
  if (access.width === 1) return access.address
  return access.contiguous ? `(${access.address} + ${at}i)` : component(access.address, at)
}

/** WGSL of a load at a place: reads 0 outside the tensor, from an address inside. */
export function renderLoad(l: Lowering, w: TextWriter, node: LoadNode, place: Place, render: RenderOperand): string {
  const { buffer, format } = l.bound(node.tensor)
  const access = renderAccess(l, w, node, place, render)
  const { width, condition, mask } = access
  const zero = `${elementType(node.dtype)}(0)`
  const guarded = (address: string, ok: string | null) =>
    ok ? w.share(`select(0i, ${address}, ${ok})`, 'at') : address
  if (access.chunk) {
    const value = format.loadChunk(w, buffer, guarded(access.address, condition))
    const ok = mask && condition ? `(${mask} & vec4<bool>(${condition}))` : (mask ?? condition)
    return ok ? `select(${valueType(node.dtype, 4)}(${zero}), ${value}, ${ok})` : value
  }
  if (width === 1) {
    const ok = [condition, mask].filter((part) => part !== null).join(' & ') || null
    const value = format.loadElement(w, buffer, guarded(access.address, ok))
    const element = ok ? `select(${zero}, ${value}, ${ok})` : value
    return widen(element, node.dtype, 1, node.cols === 1 ? 1 : place.width)
  }
  const all = mask && condition ? `(${mask} & vec4<bool>(${condition}))` : (mask ?? condition)
  const ok = all && w.share(all, 'ok')
  const first = access.contiguous ? `vec4<i32>(${access.address}) + vec4<i32>(0i, 1i, 2i, 3i)` : access.address
  const at = w.share(ok ? `select(vec4<i32>(0i), ${first}, ${ok})` : first, 'at')
  const elements = [0, 1, 2, 3].map((n) => format.loadElement(w, buffer, component(at, n)))
  const value = `${valueType(node.dtype, 4)}(${elements.join(', ')})`
  return ok ? `select(${valueType(node.dtype, 4)}(${zero}), ${value}, ${ok})` : value
}
