/** Growing bytes with the integer encodings of the WebAssembly binary format. */
export class ByteWriter {
  #bytes = new Uint8Array(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  bytes(values: Uint8Array): void {
    this.#reserve(values.length)
    this.#bytes.set(values, this.#length)
    this.#length += values.length
  }

  /** Unsigned LEB128. */
  unsigned(value: number): void {
    let rest = value >>> 0
    do {
      const low = rest & 0x7f
      rest >>>= 7
      this.byte(rest === 0 ? low : low | 0x80)
    } while (rest !== 0)
  }

  /** Signed LEB128 of a 32-bit integer. */
  signed(value: number): void {
    let rest = value | 0
    for (;;) {
      const low = rest & 0x7f
      rest >>= 7
      const last = rest === (low & 0x40 ? -1 : 0)
      this.byte(last ? low : low | 0x80)
      if (last) return
    }
  }

  float(value: number): void {
    this.bytes(new Uint8Array(new Float32Array([value]).buffer))
  }

  text(value: string): void {
    const encoded = new TextEncoder().encode(value)
    this.unsigned(encoded.length)
    this.bytes(encoded)
  }

  /** `content` preceded by its length. */
  sized(content: ByteWriter): void {
    this.unsigned(content.length)
    this.bytes(content.finish())
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}
