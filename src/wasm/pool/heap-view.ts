/** Views of a memory that grows: made anew only when its buffer was replaced. */
export class HeapView {
  readonly #memory: WebAssembly.Memory
  #words: Int32Array<ArrayBufferLike>
  #bytes: Uint8Array<ArrayBufferLike>

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory
    this.#words = new Int32Array(memory.buffer)
    this.#bytes = new Uint8Array(memory.buffer)
  }

  get words(): Int32Array<ArrayBufferLike> {
    this.#look()
    return this.#words
  }

  get bytes(): Uint8Array<ArrayBufferLike> {
    this.#look()
    return this.#bytes
  }

  #look(): void {
    const { buffer } = this.#memory
    if (this.#words.buffer === buffer) return
    this.#words = new Int32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
  }
}
