import { afterAll, describe, expect, it } from 'vitest'
import { openDevice } from '../device/index.ts'
import { PageTable } from './page-table.ts'

const device = await openDevice('interpret')
afterAll(() => device.dispose())

describe('the page table', () => {
  it('brings what changed to the device, rows that lie near one another in one write', async () => {
    const table = new PageTable(device, 4, 3000)
    const expected = new Int32Array(4 * 3000).fill(-1)
    const set = (row: number, index: number, page: number) => {
      table.set(row, index, page)
      expected[row * 3000 + index] = page
    }
    expect([...(await table.tensor.read())]).toEqual([...expected])
    expect(table.flush()).toBe(0)
    for (const [row, index, page] of [
      [3, 2999, 7],
      [0, 5, 1],
      [0, 3, 2],
      [1, 0, 3],
    ] as const)
      set(row, index, page)
    expect((await table.tensor.read())[5]).toBe(-1)
    // row 3 is far from rows 0 and 1
    expect(table.flush()).toBe(2)
    expect([...(await table.tensor.read())]).toEqual([...expected])
    set(0, 5, 1)
    expect(table.flush()).toBe(0)
    set(0, 5, -1)
    expect(table.flush()).toBe(1)
    expect([...(await table.tensor.read())]).toEqual([...expected])
    expect(() => table.set(4, 0, 1)).toThrow('the table is [4, 3000], got [4, 0]')
    expect(() => table.set(0, 3000, 1)).toThrow('the table is [4, 3000], got [0, 3000]')
    table.dispose()
  })
})
