import { indexForm } from '../../ir/affine.ts'
import type { Axis, LoadNode, Node, StoreNode, TensorParam } from '../../ir/node.ts'

/** How one index of a load or store runs over its tile. */
export type IndexPlan =
  | { readonly kind: 'uniform'; readonly base: Node }
  | { readonly kind: 'range'; readonly axis: Axis; readonly base: Node }
  | { readonly kind: 'general'; readonly node: Node }

/** A load or store with its indices recognised. */
export interface Access {
  readonly tensor: TensorParam
  readonly dims: readonly IndexPlan[]
  readonly where: Node | null
}

/** Recognises the indices of loads and stores, once for each node, so that the scalar bases keep their identity. */
export class AccessTable {
  readonly #known = new Map<LoadNode | StoreNode, Access>()

  of(node: LoadNode | StoreNode): Access {
    let access = this.#known.get(node)
    if (!access) {
      access = { tensor: node.tensor, dims: node.indices.map(planIndex), where: node.where }
      this.#known.set(node, access)
    }
    return access
  }
}

function planIndex(node: Node): IndexPlan {
  const form = indexForm(node)
  if (form.kind === 'general') return { kind: 'general', node }
  return form.kind === 'uniform'
    ? { kind: 'uniform', base: form.base }
    : { kind: 'range', axis: form.axis, base: form.base }
}

/** Does this index change along `axis`? */
export function runsAlong(dim: IndexPlan, axis: Axis): boolean {
  if (dim.kind === 'uniform') return false
  return dim.kind === 'range' ? dim.axis === axis : dim.node[axis] > 1
}

/** The nodes whose values an access reads. */
export function accessInputs(access: Access): Node[] {
  const indices = access.dims.map((dim) => (dim.kind === 'general' ? dim.node : dim.base))
  return access.where ? [...indices, access.where] : indices
}
