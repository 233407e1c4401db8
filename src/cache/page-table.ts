import type { Device, Tensor } from '../device/index.ts'
import { FoveaError } from '../tile/index.ts'

/** entries that one write may carry along although they did not change, rather than being two writes */
const carried = 4096

/**
 * Which page holds which tokens: row r, entry i is the page of the tokens i · pageSize … of the sequence in row r, −1 for
 * none. A copy lies on the device, and `flush` brings it up to date with few writes, of the entries that changed alone.
 */
export class PageTable {
  /** i32 [rows, maxPages] */
  readonly tensor: Tensor
  readonly rows: number
  readonly maxPages: number
  readonly #entries: Int32Array
  /** changed entries of each row, from … to − 1 */
  readonly #from: Int32Array
  readonly #to: Int32Array
  readonly #changed = new Set<number>()

  constructor(device: Device, rows: number, maxPages: number) {
    this.rows = rows
    this.maxPages = maxPages
    this.#entries = new Int32Array(rows * maxPages).fill(-1)
    this.#from = new Int32Array(rows)
    this.#to = new Int32Array(rows)
    this.tensor = device.tensor(this.#entries, [rows, maxPages])
  }

  /** Throws `argument` for an entry outside the table. */
  set(row: number, index: number, page: number): void {
    if (row < 0 || row >= this.rows || index < 0 || index >= this.maxPages)
      throw new FoveaError(
        'argument',
        'pageTable.set',
        `the table is [${this.rows}, ${this.maxPages}], got [${row}, ${index}]`,
      )
    const at = row * this.maxPages + index
    if (this.#entries[at] === page) return
    this.#entries[at] = page
    const known = this.#changed.has(row)
    this.#from[row] = known ? Math.min(this.#from[row] as number, index) : index
    this.#to[row] = known ? Math.max(this.#to[row] as number, index + 1) : index + 1
    this.#changed.add(row)
  }

  get(row: number, index: number): number {
    return this.#entries[row * this.maxPages + index] as number
  }

  /** Writes what changed since the last time, after the kernels enqueued so far; gives the number of writes. */
  flush(): number {
    if (this.#changed.size === 0) return 0
    let writes = 0
    let [from, to] = [0, 0]
    for (const row of [...this.#changed].sort((a, b) => a - b)) {
      const first = row * this.maxPages + (this.#from[row] as number)
      if (writes > 0 && first - to <= carried) {
        to = row * this.maxPages + (this.#to[row] as number)
        continue
      }
      if (writes > 0) this.#write(from, to)
      writes++
      from = first
      to = row * this.maxPages + (this.#to[row] as number)
    }
    this.#write(from, to)
    this.#changed.clear()
    return writes
  }

  dispose(): void {
    this.tensor.dispose()
  }

  #write(from: number, to: number): void {
    const part = this.tensor.view({ shape: [to - from], strides: [1], offset: from })
    part.write(this.#entries.subarray(from, to))
    part.dispose()
  }
}
