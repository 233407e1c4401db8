import { type StorageDType, storageBytes } from '../../ir/dtype.ts'
import { FoveaError } from '../../ir/error.ts'
import type { Param, ScalarParam, TensorParam } from '../../ir/node.ts'
import type { FunctionBuilder } from '../assembler/function-builder.ts'
import { get, type Instruction, type Local, load, op, set } from '../assembler/instruction.ts'

/** A bound argument: pointer in bytes to the tensor's memory, strides and offset in elements; or a number. */
export type KernelArgument =
  | {
      readonly kind: 'tensor'
      readonly pointer: number
      readonly shape: readonly number[]
      readonly strides: readonly number[]
      readonly offset: number
    }
  | { readonly kind: 'scalar'; readonly value: number }

/** Where each parameter lies in the block of words that a kernel is given: pointer, sizes, strides in bytes; or the number. */
export interface FrameLayout {
  readonly params: readonly Param[]
  readonly offsets: readonly number[]
  readonly bytes: number
}

export function layoutFrame(params: readonly Param[]): FrameLayout {
  const offsets: number[] = []
  let bytes = 0
  for (const param of params) {
    offsets.push(bytes)
    bytes += param.kind === 'scalar' ? 4 : 4 + 8 * param.sizes.length
  }
  return { params, offsets, bytes }
}

/** Writes the arguments, in the order of the parameters, into `view` from byte `at` on. Throws `argument` where they do not fit them. */
export function writeFrame(
  name: string,
  layout: FrameLayout,
  args: readonly KernelArgument[],
  view: DataView,
  at: number,
): void {
  if (args.length !== layout.params.length)
    throw new FoveaError('argument', 'wasm.run', `${name} takes ${layout.params.length} arguments, got ${args.length}`)
  layout.params.forEach((param, index) => {
    const arg = args[index] as KernelArgument
    const start = at + (layout.offsets[index] as number)
    if (param.kind !== arg.kind)
      throw new FoveaError('argument', 'wasm.run', `${name}: ${param.name} is a ${param.kind}, got a ${arg.kind}`)
    if (arg.kind === 'scalar') {
      if (param.kind === 'scalar' && param.dtype === 'f32') view.setFloat32(start, arg.value, true)
      else view.setInt32(start, arg.value, true)
      return
    }
    const rank = arg.shape.length
    if (param.kind !== 'tensor' || rank !== param.sizes.length || arg.strides.length !== rank)
      throw new FoveaError(
        'shape',
        'wasm.run',
        `${name}: ${param.name} has ${param.kind === 'tensor' ? param.sizes.length : 0} dimensions, got [${arg.shape.join(', ')}]`,
      )
    const width = storageBytes[param.dtype]
    view.setUint32(start, arg.pointer + arg.offset * width, true)
    for (let dim = 0; dim < rank; dim++) {
      view.setInt32(start + 4 + 4 * dim, arg.shape[dim] as number, true)
      view.setInt32(start + 4 + 4 * (rank + dim), (arg.strides[dim] as number) * width, true)
    }
  })
}

/** The parameters as locals of the kernel's function, loaded at its start when something uses them. */
export class KernelFrame {
  readonly #layout: FrameLayout
  readonly #f: FunctionBuilder
  readonly #address: Local
  readonly #locals = new Map<string, Local>()
  readonly prologue: Instruction[] = []

  constructor(f: FunctionBuilder, layout: FrameLayout, address: Local) {
    this.#f = f
    this.#layout = layout
    this.#address = address
  }

  scalar(param: ScalarParam): Instruction {
    return this.#word(param, 0, param.dtype === 'f32' ? 'f32' : 'i32', param.name)
  }

  /** byte address of element [0, 0, …] */
  pointer(tensor: TensorParam): Instruction {
    return this.#word(tensor, 0, 'i32', tensor.name)
  }

  size(tensor: TensorParam, dim: number): Instruction {
    return this.#word(tensor, 1 + dim, 'i32', `${tensor.name}-size-${dim}`)
  }

  /** bytes from one index to the next */
  stride(tensor: TensorParam, dim: number): Instruction {
    return this.#word(tensor, 1 + tensor.sizes.length + dim, 'i32', `${tensor.name}-stride-${dim}`)
  }

  /** the parameter's number: names need not differ */
  numberOf(tensor: TensorParam): number {
    return this.#layout.params.indexOf(tensor)
  }

  #word(param: Param, word: number, type: 'i32' | 'f32', name: string): Instruction {
    const index = this.#layout.params.indexOf(param)
    const start = this.#layout.offsets[index]
    if (start === undefined)
      throw new FoveaError('compile', 'compileProgram', `${param.name} is not a parameter of the program`)
    const key = `${index} ${word}`
    let local = this.#locals.get(key)
    if (!local) {
      // no scope may take it back, nor give it one of its own: it is set at the start of the function
      local = this.#f.localOf(undefined, type, `param:${name}`)
      this.#locals.set(key, local)
      this.prologue.push(
        set(local, load(type === 'f32' ? 'f32.load' : 'i32.load', get(this.#address), start + 4 * word)),
      )
    }
    return get(local)
  }
}

/** Bytes of one element. */
export function elementBytes(dtype: StorageDType): number {
  return storageBytes[dtype]
}

/** start + index · step, as instructions. */
export function addScaled(start: Instruction, index: Instruction, step: Instruction): Instruction {
  return op('i32.add', start, op('i32.mul', index, step))
}
