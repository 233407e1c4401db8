import type { Device, Tensor } from '../../device/device.ts'
import { accumulate } from '../../nn/accumulate.ts'
import { checkFields, type FieldsOf, FoveaError, type StorageDType } from '../../tile/index.ts'
import type { Workspace } from '../workspace.ts'
import { Held, Variable } from './variable.ts'

/** What an operation did, and how its gradient is found. */
export interface Operation {
  readonly output: Variable
  /** values that `backward` reads, from tensors that it remembers: they stay until it has run */
  readonly keeps: readonly Variable[]
  /** tensors of the workspace that `backward` reads: kept as long, then given back */
  readonly scratch?: readonly Tensor[]
  /** enqueues what adds to the gradients of the inputs and of the parameters; it is called when `output.gradient` is there */
  backward(): void
}

interface Noted {
  readonly output: Variable
  readonly holds: readonly Held[]
  readonly scratch: readonly Tensor[]
  backward(): void
}

/**
 * The record of a computation that can be run backward (reverse-mode differentiation, Linnainmaa 1970). Operations enqueue
 * their kernels as they are called and note how to go back; `backward` enqueues the kernels of the gradients. Nothing waits
 * and nothing is read, so both can be inside `device.record`. All memory comes from a workspace and returns to it as soon as
 * nothing that follows can ask for it.
 */
export class TapeCore {
  readonly device: Device
  readonly workspace: Workspace
  /** false: values only, nothing is kept for a way back */
  readonly recording: boolean
  readonly #operations: Noted[] = []
  readonly #made: Variable[] = []

  constructor(workspace: Workspace, options: { readonly recording?: boolean } = {}) {
    checkFields('Tape', 'options', options, tapeFields)
    this.device = workspace.device
    this.workspace = workspace
    this.recording = options.recording ?? true
  }

  /** A tensor of the caller's as a variable. `needsGradient` (false): its gradient is found, and stays for the caller to take. */
  input(tensor: Tensor, options: { readonly needsGradient?: boolean } = {}): Variable {
    checkFields('tape.input', 'options', options, inputFields)
    return this.adopt(new Held(tensor, null), options.needsGradient ?? false)
  }

  /** A variable over memory that is already held. */
  adopt(held: Held, needsGradient: boolean): Variable {
    const variable = new Variable(held, needsGradient && this.recording)
    this.#made.push(variable)
    return variable
  }

  /** Memory of the workspace with one holder. */
  take(shape: readonly number[], dtype: StorageDType): Held {
    return new Held(this.workspace.take(shape, dtype), (tensor) => this.workspace.give(tensor))
  }

  /** A variable with undefined contents, for an operation to write. */
  empty(shape: readonly number[], dtype: StorageDType, needsGradient: boolean): Variable {
    return this.adopt(this.take(shape, dtype), needsGradient)
  }

  /** Notes an operation; without recording, or where no gradient is needed, its scratch is given back at once. */
  note({ output, keeps, scratch = [], backward }: Operation): Variable {
    if (output.needsGradient) {
      const holds = keeps.flatMap(({ held }) => (held ? [held.hold()] : []))
      this.#operations.push({ output, holds, scratch, backward })
    } else for (const tensor of scratch) this.workspace.give(tensor)
    return output
  }

  /** Says that the caller will not use the value again. What a way back needs of it stays. */
  release(...variables: readonly Variable[]): void {
    for (const variable of variables) {
      variable.held?.drop()
      variable.held = null
    }
  }

  /** Hands the memory of a variable on: its value is gone, whoever receives it holds it. Throws `argument` where somebody else reads it. */
  takeOver(where: string, variable: Variable): Held {
    const { held } = variable
    if (!held || held.shared)
      throw new FoveaError(
        'argument',
        where,
        `the memory of [${variable.shape.join(', ')}] cannot be written over: ${held ? 'another operation keeps its value' : 'it was released'}`,
      )
    variable.held = null
    return held
  }

  /**
   * Adds to the gradient of a variable. `write` enqueues what fills `output` with this operation's part, or adds it to what
   * `output` holds when `add` is true, which is asked only of those who say that they can (`adds`).
   */
  addGradient(
    variable: Variable,
    write: (output: Tensor, add: boolean) => void,
    options: { readonly adds?: boolean } = {},
  ): void {
    checkFields('tape.addGradient', 'options', options, gradientFields)
    if (!variable.needsGradient) return
    const { gradient } = variable
    if (gradient && !gradient.shared && options.adds) {
      write(gradient.tensor, true)
      return
    }
    const own = this.take(variable.shape, variable.dtype)
    write(own.tensor, false)
    this.giveGradient(variable, own)
  }

  /** The same with a gradient that is already there, and that others may read: the caller's hold of it goes to the variable. */
  giveGradient(variable: Variable, part: Held): void {
    const { gradient } = variable
    if (!variable.needsGradient) part.drop()
    else if (!gradient) variable.gradient = part
    else if (!gradient.shared) {
      this.#accumulate(part.tensor, gradient.tensor)
      part.drop()
    } else if (!part.shared) {
      this.#accumulate(gradient.tensor, part.tensor)
      gradient.drop()
      variable.gradient = part
    } else
      throw new FoveaError(
        'argument',
        'tape.giveGradient',
        `two gradients of [${variable.shape.join(', ')}] are both read by others`,
      )
  }

  /** Takes the gradient of a variable away from it; the caller drops it. */
  takeGradient(variable: Variable): Held | null {
    const { gradient } = variable
    variable.gradient = null
    return gradient
  }

  /**
   * Goes back through all operations. Gradients of parameters are added to; those of inputs that need one stay in
   * `gradient`, all others are given back. The tape is empty afterwards.
   */
  backward(): void {
    for (let operation = this.#operations.pop(); operation; operation = this.#operations.pop()) {
      const { output, holds, scratch, backward } = operation
      // its maker is the last that can ask for a value
      this.release(output)
      // nothing was computed from it that reaches the loss: nothing flows
      if (output.gradient) backward()
      output.gradient?.drop()
      output.gradient = null
      for (const held of holds) held.drop()
      for (const tensor of scratch) this.workspace.give(tensor)
    }
    this.finish()
  }

  /** Lets go of all values that are still held. */
  finish(): void {
    this.release(...this.#made.splice(0))
  }

  #accumulate(x: Tensor, output: Tensor): void {
    const flat = (tensor: Tensor) => {
      const width = tensor.shape.at(-1) as number
      return this.workspace.view(tensor, { shape: [tensor.size / width, width] })
    }
    accumulate(this.device, { x: flat(x), output: flat(output) })
  }
}

const tapeFields: FieldsOf<NonNullable<ConstructorParameters<typeof TapeCore>[1]>> = { recording: true }
const inputFields: FieldsOf<NonNullable<Parameters<TapeCore['input']>[1]>> = { needsGradient: true }
const gradientFields: FieldsOf<NonNullable<Parameters<TapeCore['addGradient']>[2]>> = { adds: true }
