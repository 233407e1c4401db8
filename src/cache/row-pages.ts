import type { PageBook } from './page-book.ts'

/** The pages of one row of the page table, in the order of its tokens; each has a reference that this row holds. */
export class RowPages {
  readonly row: number
  readonly #book: PageBook
  readonly #pages: number[] = []

  constructor(book: PageBook, row: number) {
    this.#book = book
    this.row = row
  }

  get count(): number {
    return this.#pages.length
  }

  get all(): readonly number[] {
    return this.#pages
  }

  /** Page of the tokens from index · pageSize on, −1 when it was dropped. */
  at(index: number): number {
    return this.#pages[index] as number
  }

  /** One more page, of which a reference becomes this row's. */
  push(page: number): void {
    this.#pages.push(page)
    this.#book.table.set(this.row, this.#pages.length - 1, page)
  }

  /** Takes a page, of which a reference becomes this row's, in place of the one at an index; −1 leaves a gap. */
  replace(index: number, page: number): void {
    this.#release(index)
    this.#pages[index] = page
    this.#book.table.set(this.row, index, page)
  }

  /** Gives back all but the first pages. */
  shrink(count: number): void {
    while (this.#pages.length > count) {
      const index = this.#pages.length - 1
      this.#release(index)
      this.#pages.pop()
      this.#book.table.set(this.row, index, -1)
    }
  }

  /** Puts the first pages into another, empty row as well. */
  shareWith(other: RowPages, count: number): void {
    for (let index = 0; index < count; index++) {
      const page = this.at(index)
      if (page >= 0) this.#book.allocator.retain(page)
      other.push(page)
    }
  }

  #release(index: number): void {
    const page = this.at(index)
    if (page >= 0) this.#book.allocator.release(page)
  }
}
