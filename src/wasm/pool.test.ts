import { afterEach, describe, expect, it } from 'vitest'
import { colRange, defineProgram, dot, FoveaError, load, rowRange, store, zeros } from '../tile/index.ts'
import { encodeModule } from './assembler/encode-module.ts'
import { FunctionBuilder } from './assembler/function-builder.ts'
import { op } from './assembler/instruction.ts'
import { compileProgram, type WasmKernel } from './compile-program.ts'
import { heapAddress, tableSlots } from './pool/control-block.ts'
import { HeapView } from './pool/heap-view.ts'
import { type KernelSlot, KernelTable } from './pool/kernel-table.ts'
import { MemoryAllocator } from './pool/memory-allocator.ts'
import { SinglePool } from './pool/single-pool.ts'
import { type KernelArgument, openPool, type PoolCall, type WasmPool } from './pool.ts'
import type { Done } from './wasm-pool.ts'

const pools: WasmPool[] = []
afterEach(() => {
  for (const pool of pools.splice(0)) pool.dispose()
})
async function open(threads: number, maxBytes?: number): Promise<WasmPool> {
  const pool = await openPool({ threads, ...(maxBytes === undefined ? {} : { maxBytes }) })
  pools.push(pool)
  return pool
}

/** out[i] = 2 · in[i] + 1, 32 elements a program */
const doubling = defineProgram('doubling', (p) => {
  const from = p.input('from', 'f32', [null])
  const to = p.output('to', 'f32', [null])
  const at = colRange(p.programId(0).add(p.programId(1).mul(4)).add(p.programId(2).mul(12)).mul(32), 32)
  p.emit(store(to, [at], load(from, [at]).mul(2).add(1)))
})

function vector(pointer: number, length: number): KernelArgument {
  return { kind: 'tensor', pointer, shape: [length], strides: [1], offset: 0 }
}

async function double(pool: WasmPool, kernel: WasmKernel, length = 500): Promise<number[]> {
  const [from, to] = [pool.allocate(length * 4), pool.allocate(length * 4)]
  new Float32Array(pool.memory.buffer, from, length).set(Array.from({ length }, (_, i) => i))
  new Float32Array(pool.memory.buffer, to, length).fill(Number.NaN)
  await pool.run(kernel, [vector(from, length), vector(to, length)], [4, 3, 2])
  const result = [...new Float32Array(pool.memory.buffer, to, length)]
  pool.free(from)
  pool.free(to)
  return result
}
const doubled = Array.from({ length: 500 }, (_, i) => 2 * i + 1)

/** a kernel that traps in every program */
function trapping(): WasmKernel {
  const kernel = compileProgram(doubling, { relaxed: false })
  const encode = (shared: boolean) => {
    const build = (name: string, parameters: number) => {
      const f = new FunctionBuilder(
        name,
        Array.from({ length: parameters }, (_, i) => [`p${i}`, 'i32'] as const),
      )
      if (name === 'run' || !shared) f.emit(op('unreachable'))
      return f.finish(true)
    }
    return encodeModule({
      functions: [build('tile', 5), build('run', 6)],
      memory: { shared, minPages: 1, maxPages: 65536 },
    })
  }
  return { ...kernel, name: 'trapping', bytes: encode(true), encode }
}

describe.each([1, 2, 3])('a pool of %i', (threads) => {
  it('runs a grid, again and again, and many kernels in a row', async () => {
    const pool = await open(threads)
    expect(pool.threads).toBe(threads)
    const kernel = compileProgram(doubling, pool)
    expect(await double(pool, kernel)).toEqual(doubled)
    const all = await Promise.all(Array.from({ length: 20 }, () => double(pool, compileProgram(doubling, pool))))
    for (const result of all) expect(result).toEqual(doubled)
  })

  it('rejects a kernel that traps and goes on', async () => {
    const pool = await open(threads)
    const failed = pool.run(trapping(), [vector(0, 1), vector(0, 1)], [8, 1, 1])
    await expect(failed).rejects.toMatchObject({
      name: 'FoveaError',
      code: 'device',
      message: expect.stringContaining('trapping failed: '),
    })
    expect(await double(pool, compileProgram(doubling, pool))).toEqual(doubled)
  })

  it('refuses arguments that do not fit, and an empty grid is done at once', async () => {
    const pool = await open(threads)
    const kernel = compileProgram(doubling, pool)
    await expect(pool.run(kernel, [vector(0, 1)], [1, 1, 1])).rejects.toMatchObject({ code: 'argument' })
    await expect(pool.run(kernel, [vector(0, 1), { kind: 'scalar', value: 1 }], [1, 1, 1])).rejects.toMatchObject({
      code: 'argument',
    })
    await expect(
      pool.run(kernel, [vector(0, 1), { ...vector(0, 1), shape: [1, 1] } as KernelArgument], [1, 1, 1]),
    ).rejects.toMatchObject({ code: 'shape' })
    await expect(pool.run(kernel, [vector(0, 1), vector(0, 1)], [1, -1, 1])).rejects.toMatchObject({ code: 'argument' })
    await pool.run(kernel, [vector(0, 0), vector(0, 0)], [0, 1, 1])
  })

  it('ends: what is running and what comes later is rejected', async () => {
    const pool = await open(threads)
    const kernel = compileProgram(doubling, pool)
    const [first, second] = [double(pool, kernel), double(pool, kernel)].map((run) =>
      run.then(
        () => 'done',
        (error: FoveaError) => error.code,
      ),
    )
    pool.dispose()
    pool.dispose()
    for (const outcome of [await first, await second]) expect(['done', 'disposed']).toContain(outcome)
    await expect(pool.run(kernel, [vector(0, 1), vector(0, 1)], [1, 1, 1])).rejects.toMatchObject({ code: 'disposed' })
    expect(() => pool.allocate(16)).toThrow(FoveaError)
  })
})

/** to[i] = from[i] + 1, 16 elements a program */
const counting = defineProgram('counting', (p) => {
  const from = p.input('from', 'f32', [null])
  const to = p.output('to', 'f32', [null])
  const at = colRange(p.programId(0).mul(16), 16)
  p.emit(store(to, [at], load(from, [at]).add(1)))
})

/** the same with 64 KiB of scratch, and more */
const heavy = (side: number) =>
  defineProgram('heavy', (p) => {
    const from = p.input('from', 'f32', [null])
    const to = p.output('to', 'f32', [null])
    const at = colRange(p.programId(0).mul(side), side)
    const tile = load(from, [at]).add(zeros([side, side]))
    // what a product needs whole cannot stay in registers
    p.emit(
      store(
        to,
        [at],
        dot(tile, tile.mul(0))
          .rowSum()
          .T.add(load(from, [at]))
          .add(1),
      ),
    )
  })

describe.each([1, 2, 4])('recordings of a pool of %i', (threads) => {
  const length = 100
  const zeroed = (pool: WasmPool) => {
    const pointer = pool.allocate(length * 4)
    new Float32Array(pool.memory.buffer, pointer, length).fill(0)
    return pointer
  }
  const values = (pool: WasmPool, pointer: number) => [...new Float32Array(pool.memory.buffer, pointer, length)]
  /** `steps` kernels, there and back */
  const there = (kernel: WasmKernel, a: number, b: number, steps: number) =>
    Array.from({ length: steps }, (_, i): PoolCall => {
      const args = i % 2 ? [vector(b, length), vector(a, length)] : [vector(a, length), vector(b, length)]
      return { kernel, args, grid: [Math.ceil(length / 16), 1, 1] }
    })
  const finished = (work: { enqueue(done: Done): void }) =>
    new Promise<FoveaError | null>((resolve) => work.enqueue(resolve))

  it('run again and again, more of them than the ring holds, with single kernels between them', async () => {
    const pool = await open(threads)
    const [kernel, other] = [compileProgram(counting, pool), compileProgram(counting, pool)]
    const [a, b] = [zeroed(pool), zeroed(pool)]
    const recording = pool.record(there(kernel, a, b, 4))
    const single = there(other, a, b, 2)
    const order: number[] = []
    let last: Promise<unknown> = Promise.resolve()
    for (let i = 0; i < 700; i++) {
      recording.enqueue((error) => void order.push(error ? -1 : i))
      for (const call of single) last = pool.run(call.kernel, call.args, call.grid)
    }
    recording.dispose()
    await last
    expect(values(pool, a)).toEqual(new Array(length).fill(700 * 6))
    expect(order).toEqual(Array.from({ length: 700 }, (_, i) => i))
    // what a recording held is given back
    const before = pool.memory.buffer.byteLength
    for (let i = 0; i < 2000; i++) pool.record(there(kernel, a, b, 8)).dispose()
    expect(pool.memory.buffer.byteLength).toBe(before)
    expect(await finished(pool.record([]))).toBe(null)
  })

  it('leave out what follows a kernel that trapped, and nothing else', async () => {
    const pool = await open(threads)
    const kernel = compileProgram(counting, pool)
    const [a, b] = [zeroed(pool), zeroed(pool)]
    const good = pool.record(there(kernel, a, b, 2))
    const trap: PoolCall = { kernel: trapping(), args: [vector(0, 1), vector(0, 1)], grid: [3, 2, 1] }
    const bad = pool.record([...there(kernel, a, b, 2), trap, ...there(kernel, a, b, 2)])
    const outcomes = [good, bad, good, bad, bad, good].map(finished)
    const codes = (await Promise.all(outcomes)).map((error) => error?.message.replace(/: (?!trapping).*/, '') ?? null)
    const failed = 'wasm.run: trapping failed'
    expect(codes).toEqual([null, failed, null, failed, failed, null])
    expect(values(pool, a)).toEqual(new Array(length).fill(12))
  })

  it('keep their scratch while another grows it', async () => {
    const pool = await open(threads)
    const [a, b] = [zeroed(pool), zeroed(pool)]
    const runs: Promise<FoveaError | null>[] = []
    let sum = 0
    for (const side of [4, 16, 64, 8, 100]) {
      const kernel = compileProgram(heavy(side), pool)
      const grid = [Math.ceil(length / side), 1, 1] as const
      const calls: PoolCall[] = [
        { kernel, args: [vector(a, length), vector(b, length)], grid },
        { kernel, args: [vector(b, length), vector(a, length)], grid },
      ]
      const recording = pool.record(calls)
      for (let i = 0; i < 5; i++) runs.push(finished(recording))
      sum += 10
      recording.dispose()
    }
    expect(await Promise.all(runs)).toEqual(new Array(25).fill(null))
    expect(values(pool, a)).toEqual(new Array(length).fill(sum))
  })

  it('fail when the pool ends, and are refused afterwards', async () => {
    const pool = await open(threads)
    const [a, b] = [zeroed(pool), zeroed(pool)]
    const recording = pool.record(there(compileProgram(counting, pool), a, b, 50))
    const runs = Array.from({ length: 400 }, () => finished(recording))
    pool.dispose()
    const codes = new Set((await Promise.all(runs)).map((error) => error?.code ?? 'done'))
    for (const code of codes) expect(['done', 'disposed']).toContain(code)
    expect(codes).toContain('disposed')
    expect(() => recording.enqueue(() => {})).toThrow(expect.objectContaining({ code: 'disposed' }))
    expect(() => pool.record([])).toThrow(expect.objectContaining({ code: 'disposed' }))
    recording.dispose()
  })
})

it('is told by messages where it cannot wait', async () => {
  const { waitAsync } = Atomics
  Object.assign(Atomics, { waitAsync: undefined })
  const pool = await open(2).finally(() => Object.assign(Atomics, { waitAsync }))
  const kernel = compileProgram(doubling, pool)
  for (let i = 0; i < 5; i++) expect(await double(pool, kernel)).toEqual(doubled)
  await expect(pool.run(trapping(), [vector(0, 1), vector(0, 1)], [8, 1, 1])).rejects.toMatchObject({ code: 'device' })
  expect(await double(pool, kernel)).toEqual(doubled)
})

it('keeps no more kernels than its table has places, those in use among them', () => {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 100, shared: true })
  const allocator = new MemoryAllocator(memory, heapAddress, 100 * 65536)
  const table = new KernelTable(new HeapView(memory), allocator, 1)
  const { bytes, ...rest } = compileProgram(doubling, { relaxed: false })
  const kernels = Array.from({ length: tableSlots + 2 }, () => ({ ...rest, bytes: bytes.slice(0, 64) }))
  const kernel = (index: number) => kernels[index] as WasmKernel
  const slots = kernels.slice(0, tableSlots).map((k) => table.pin(k))
  expect(new Set(slots.map(({ index }) => index)).size).toBe(tableSlots)
  expect(() => table.pin(kernel(tableSlots))).toThrow(expect.objectContaining({ code: 'limit' }))
  const [third, fifth] = [slots[3], slots[5]] as [KernelSlot, KernelSlot]
  table.unpin(fifth)
  table.unpin(third)
  // the one that was used last stays
  expect(table.pin(kernel(5))).toBe(fifth)
  table.unpin(fifth)
  const successor = table.pin(kernel(tableSlots))
  expect([successor.index, successor.id]).toEqual([third.index, tableSlots + 1])
  table.forget(kernel(7))
  expect(() => table.pin(kernel(tableSlots + 1))).not.toThrow()
  expect(allocator.usedBytes).toBe(tableSlots * 128)
})

describe('memory', () => {
  it('grows while kernels keep working', async () => {
    const pool = await open(2)
    const kernel = compileProgram(doubling, pool)
    expect(await double(pool, kernel)).toEqual(doubled)
    const large = pool.allocate(300 * 1024 * 1024)
    expect(pool.memory.buffer.byteLength).toBeGreaterThan(300 * 1024 * 1024)
    expect(await double(pool, compileProgram(doubling, pool))).toEqual(doubled)
    pool.free(large)
  })

  it('refuses what is beyond its bound before anything grows', async () => {
    const pool = await open(1, 4 * 1024 * 1024)
    const before = pool.memory.buffer.byteLength
    expect(() => pool.allocate(5 * 1024 * 1024)).toThrow(expect.objectContaining({ code: 'memory' }))
    expect(pool.memory.buffer.byteLength).toBe(before)
  })

  it('reuses and joins what is freed, aligned', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 64 })
    const allocator = new MemoryAllocator(memory, 100, 64 * 65536)
    const pointers = Array.from({ length: 20 }, (_, index) => allocator.allocate(1000 + index * 7))
    for (const pointer of pointers) expect(pointer % 64).toBe(0)
    expect(new Set(pointers).size).toBe(20)
    for (const pointer of pointers.slice(3, 9)) allocator.free(pointer)
    const joined = allocator.allocate(6 * 1000)
    expect(joined).toBe(pointers[3])
    for (const pointer of [...pointers, joined]) allocator.free(pointer)
    allocator.free(12345)
    expect(allocator.usedBytes).toBe(0)
    expect(allocator.allocate(40 * 65536)).toBe(pointers[0])
  })
})

it('without shared memory kernels run on the calling thread, in slices', async () => {
  const pool = new SinglePool(
    new WebAssembly.Memory({ initial: 4, maximum: 1000 }),
    { relaxed: false, wide: false },
    1000 * 65536,
  )
  const kernel = compileProgram(doubling, pool)
  expect(await Promise.all([double(pool, kernel), double(pool, kernel)])).toEqual([doubled, doubled])
  await expect(pool.run(trapping(), [vector(0, 1), vector(0, 1)], [8, 1, 1])).rejects.toMatchObject({ code: 'device' })
  const [a, b] = [pool.allocate(64), pool.allocate(64)]
  const counter = new Float32Array(pool.memory.buffer, a, 16).fill(0)
  const calls = [vector(a, 16), vector(b, 16)].map((from, i, both): PoolCall => {
    return { kernel: compileProgram(counting, pool), args: [from, both[1 - i] as KernelArgument], grid: [1, 1, 1] }
  })
  const trap: PoolCall = { kernel: trapping(), args: [vector(0, 1), vector(0, 1)], grid: [1, 1, 1] }
  const [good, bad] = [pool.record(calls), pool.record([...calls, trap, ...calls])]
  const outcomes = [good, bad, good].map(
    (recording) => new Promise<FoveaError | null>((resolve) => recording.enqueue(resolve)),
  )
  expect(counter[0]).toBe(0)
  expect((await Promise.all(outcomes)).map((error) => error?.code ?? null)).toEqual([null, 'device', null])
  expect([...counter]).toEqual(new Array(16).fill(6))
  pool.dispose()
  await expect(double(pool, kernel)).rejects.toMatchObject({ code: 'disposed' })
})

it('on one thread lets others have it, though runs that are awaited one after the other are each short', async () => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 1000 })
  const pool = new SinglePool(memory, { relaxed: false, wide: false }, 1000 * 65536)
  const kernel = compileProgram(doubling, pool)
  let others = 0
  setTimeout(() => others++, 0)
  const start = performance.now()
  // nothing here but promises: a step of a model, awaited, then the next
  while (others === 0 && performance.now() - start < 2000) await double(pool, kernel)
  expect(others).toBe(1)
  pool.dispose()
})

it('compiles a kernel that names its rows only once a length, and refuses scratch beyond the caches', () => {
  const huge = defineProgram('huge', (p) => {
    const x = load(p.input('x', 'f32', [null, null]), [rowRange(0, 2048), colRange(0, 2048)])
    p.emit(
      store(
        p.output('out', 'f32', [null, null]),
        [rowRange(0, 2048), colRange(0, 2048)],
        x.sub(x.rowMax()).exp().rowSum().mul(x),
      ),
    )
    p.emit(store(p.output('turned', 'f32', [null, null]), [rowRange(0, 2048), colRange(0, 2048)], x.T.mul(2)))
  })
  expect(() => compileProgram(huge, { relaxed: false })).toThrow(
    expect.objectContaining({ code: 'limit', message: expect.stringContaining('scratch') }),
  )
})

it('joins vectors where V8 can, and says so where it cannot', async () => {
  const version = Number.parseInt(process.versions.v8, 10)
  const opened = openPool({ threads: 1, wideVectors: true })
  if (version < 13 || process.arch !== 'x64') {
    await expect(opened).rejects.toMatchObject({ code: 'unsupported' })
    return
  }
  const pool = await opened
  pools.push(pool)
  expect(pool.wide).toBe(true)
  expect(await double(pool, compileProgram(doubling, pool))).toEqual(doubled)
})
