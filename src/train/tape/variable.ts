import type { Tensor } from '../../device/device.ts'
import { FoveaError } from '../../tile/index.ts'

/** A tensor with a count of those who still need it; the last of them gives it back. */
export class Held {
  readonly tensor: Tensor
  readonly #giveBack: ((tensor: Tensor) => void) | null
  #holders = 1

  /** `giveBack`: what becomes of the tensor when nobody needs it; null for one of the caller's */
  constructor(tensor: Tensor, giveBack: ((tensor: Tensor) => void) | null) {
    this.tensor = tensor
    this.#giveBack = giveBack
  }

  get shared(): boolean {
    return this.#holders > 1
  }

  hold(): this {
    this.#holders++
    return this
  }

  drop(): void {
    this.#holders--
    if (this.#holders === 0) this.#giveBack?.(this.tensor)
  }
}

/** A value on a tape, and the gradient of the loss by it while the tape runs backward. */
export class Variable {
  readonly shape: readonly number[]
  readonly dtype: Tensor['dtype']
  /** whether anything before it is trained */
  readonly needsGradient: boolean
  /** what the tape keeps of it; null once nobody needs its value */
  held: Held | null
  /** null until something gave a gradient */
  gradient: Held | null = null

  constructor(held: Held, needsGradient: boolean) {
    this.shape = held.tensor.shape
    this.dtype = held.tensor.dtype
    this.held = held
    this.needsGradient = needsGradient
  }

  /** Throws `disposed` after the tape has let go of it. */
  get value(): Tensor {
    if (this.held) return this.held.tensor
    throw new FoveaError(
      'disposed',
      'variable.value',
      `the value [${this.shape.join(', ')}] was released, or its memory went on to another variable`,
    )
  }
}
