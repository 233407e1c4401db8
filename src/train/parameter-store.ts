import type { Device, Tensor } from '../device/device.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError, type Value } from '../tile/index.ts'
import type { Parameter, ParameterGroup } from './parameters.ts'
import { type ComputeDType, computeDTypes } from './precision.ts'
import type { TapeWeight } from './tape/tape-weight.ts'
import { updateFlat } from './update-flat.ts'

/** A tensor to be trained. */
export interface ParameterDeclaration {
  readonly name: string
  readonly shape: readonly number[]
  /** its elements are read by themselves, in f32: whatever its shape it lies among the vectors, and has no narrow copy */
  readonly elementwise?: true
  /** over what the store's rule says of it, unless that is frozen */
  readonly update?: UpdateRule
}

/** How a parameter is updated; those that agree in everything are one group. */
export interface UpdateRule {
  /** part of its weight that decoupled decay takes each step, times the learning rate (0) */
  readonly weightDecay?: number
  /** factor of the learning rate (1) */
  readonly learningRateFactor?: number
  /** name among the optimisers of the trainer, where there are several */
  readonly optimizer?: string
}

export interface ParameterStoreOptions {
  /** parameters in the order in which they lie; those of one list lie joined, so that their rows are one matrix */
  readonly blocks: readonly (readonly ParameterDeclaration[])[]
  /** what products read of matrices (f32) */
  readonly compute?: ComputeDType
  /** how each parameter is updated, 'frozen' for not at all; plain updates by default */
  readonly rule?: (parameter: ParameterDeclaration) => UpdateRule | 'frozen'
  /** a store whose trained parameters are trained with these, and seen here as well; it stays its owner's */
  readonly along?: ParameterStore
}

/** Elements between the starts of two blocks: every view begins where vectors of any width may. */
const alignment = 64

interface Placed extends TapeWeight {
  readonly name: string
  readonly shape: readonly number[]
}

/**
 * The parameters of a model, flat: those that are updated alike lie in one f32 tensor of weights and one of gradients, so
 * that an element-wise optimiser is one kernel; matrices have a narrow copy where `compute` is one. Frozen matrices are held
 * as what products read, without gradients.
 */
export class ParameterStore {
  /** of trained parameters */
  readonly groups: readonly ParameterGroup[]
  readonly names: readonly string[]
  readonly #device: Device
  readonly #placed = new Map<string, Placed>()
  readonly #joined = new Map<string, TapeWeight>()
  readonly #owned: Tensor[] = []
  #bytes = 0

  /** Weights are undefined until `write`. Throws `argument` for a name twice, and blocks that are updated in two ways; what `device.empty` throws. */
  constructor(device: Device, options: ParameterStoreOptions) {
    checkFields('ParameterStore', 'options', options, fields)
    if (options.compute !== undefined) checkChoice('ParameterStore', 'compute', options.compute, computeDTypes)
    this.#device = device
    try {
      this.groups = [...this.#place(options), ...(options.along?.groups ?? [])]
    } catch (error) {
      this.dispose()
      throw error
    }
    for (const { name } of options.along?.groups.flatMap(({ parameters }) => parameters) ?? []) {
      if (this.#placed.has(name)) throw new FoveaError('argument', 'ParameterStore', `${name} is declared twice`)
      this.#placed.set(name, (options.along as ParameterStore).get(name))
    }
    this.names = [...this.#placed.keys()]
  }

  /** bytes of weights, gradients and narrow copies that it holds */
  get bytes(): number {
    return this.#bytes
  }

  /** trained numbers */
  get size(): number {
    return this.groups.reduce(
      (sum, { parameters }) => sum + parameters.reduce((n, { weight }) => n + weight.size, 0),
      0,
    )
  }

  has(name: string): boolean {
    return this.#placed.has(name)
  }

  /** Throws `argument` for a name that is none. */
  get(name: string): Placed {
    const placed = this.#placed.get(name)
    if (placed) return placed
    throw new FoveaError('argument', 'parameters.get', `there is no parameter ${name}`)
  }

  /** The block that begins with this parameter, as one: the rows of its matrices one below the other, or its vectors end to end. */
  joined(first: string): TapeWeight {
    const joined = this.#joined.get(first)
    if (joined) return joined
    throw new FoveaError('argument', 'parameters.joined', `no block begins with ${first}`)
  }

  /** Replaces a weight, its narrow copy too. Throws `shape`. */
  write(name: string, data: Float32Array): void {
    const { weight, compute } = this.get(name)
    weight.write(data)
    if (compute !== weight) compute.write(data)
  }

  /** Makes narrow copies agree with weights that were written as a whole. */
  refresh(): void {
    for (const { weight, compute } of this.groups)
      if (compute)
        updateFlat(this.#device, 'narrow-copy', { read: { weight }, write: { compute } }, (values) => ({
          compute: values.weight as Value,
        }))
  }

  /** The weight of a parameter, in row-major order. */
  async read(name: string): Promise<Float32Array> {
    return (await this.get(name).weight.read()) as Float32Array
  }

  dispose(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose()
  }

  #place({ blocks, compute = 'f32', rule: ruleOf = () => ({}) }: ParameterStoreOptions): ParameterGroup[] {
    const rule = (parameter: ParameterDeclaration) => {
      const said = ruleOf(parameter)
      return said === 'frozen' ? said : { ...said, ...parameter.update }
    }
    const most = this.#device.info.limits.maxStorageBufferBindingSize ?? Number.POSITIVE_INFINITY
    const drafts = new Map<string, Draft>()
    for (const block of blocks) {
      const [first] = block
      if (!first) continue
      const keys = new Set(block.map((parameter) => JSON.stringify(rule(parameter))))
      if (keys.size > 1)
        throw new FoveaError(
          'argument',
          'ParameterStore',
          `${block.map(({ name }) => name).join(', ')} lie joined, but are to be updated differently: ${[...keys].join(', ')}`,
        )
      const isMatrix = first.shape.length > 1 && !first.elementwise
      const kind = isMatrix ? 'matrices' : 'vectors'
      const draft: Draft = { kind, rule: rule(first), blocks: [], size: 0 }
      const size = Math.ceil(block.reduce((sum, { shape }) => sum + product(shape), 0) / alignment) * alignment
      let key = `${kind} ${[...keys][0]}`
      // a group that one binding cannot hold goes on in another
      for (let known = drafts.get(key); known && 4 * (known.size + size) > most; known = drafts.get(key)) key += ' +'
      const target = drafts.get(key) ?? draft
      drafts.set(key, target)
      target.blocks.push({ parameters: block, offset: target.size })
      target.size += size
    }
    const counts = { matrices: 0, vectors: 0 }
    return [...drafts.values()].flatMap((draft) => {
      const count = ++counts[draft.kind]
      return this.#placeGroup(count === 1 ? draft.kind : `${draft.kind} ${count}`, draft, compute)
    })
  }

  #placeGroup(name: string, { kind, rule, blocks, size }: Draft, dtype: ComputeDType): ParameterGroup[] {
    const frozen = rule === 'frozen'
    const narrow = kind === 'matrices' && dtype !== 'f32' ? this.#own([size], dtype) : null
    const weight = frozen && narrow ? narrow : this.#own([size], 'f32')
    const gradient = frozen ? null : this.#own([size], 'f32')
    const parameters: Parameter[] = []
    const { weightDecay = 0, learningRateFactor = 1, optimizer } = frozen ? {} : rule
    const group: ParameterGroup | null = gradient && {
      name,
      size,
      weight,
      gradient,
      compute: narrow,
      parameters,
      weightDecay,
      learningRateFactor,
      ...(optimizer !== undefined && { optimizer }),
    }
    for (const block of blocks) {
      let { offset } = block
      const views = (shape: readonly number[]) => {
        const view = (tensor: Tensor) => this.#keep(tensor.view({ shape, offset }))
        const own = view(weight)
        const copy = narrow && narrow !== weight ? view(narrow) : own
        return { shape, weight: own, compute: copy, gradient: gradient && view(gradient) }
      }
      const [first] = block.parameters as [ParameterDeclaration]
      const rows = block.parameters.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0)
      this.#joined.set(first.name, views([rows, ...first.shape.slice(1)]))
      for (const { name, shape } of block.parameters) {
        if (this.#placed.has(name)) throw new FoveaError('argument', 'ParameterStore', `${name} is declared twice`)
        const placed = { name, ...views(shape) }
        this.#placed.set(name, placed)
        const { gradient: own } = placed
        if (group && own) parameters.push({ ...placed, gradient: own, group, offset })
        offset += product(shape)
      }
    }
    return group ? [group] : []
  }

  #own(shape: readonly number[], dtype: ComputeDType): Tensor {
    // gaps between blocks are zeros, and stay
    const tensor = this.#keep(this.#device.zeros(shape, dtype))
    this.#bytes += tensor.size * (dtype === 'f32' ? 4 : 2)
    return tensor
  }

  #keep(tensor: Tensor): Tensor {
    this.#owned.push(tensor)
    return tensor
  }
}

interface Draft {
  readonly kind: 'matrices' | 'vectors'
  readonly rule: UpdateRule | 'frozen'
  readonly blocks: { readonly parameters: readonly ParameterDeclaration[]; readonly offset: number }[]
  size: number
}

const product = (shape: readonly number[]) => shape.reduce((size, extent) => size * extent, 1)

const fields: FieldsOf<ParameterStoreOptions> = { blocks: true, compute: true, rule: true, along: true }
