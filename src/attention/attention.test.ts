import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BackedDevice } from '../device/backed-device.ts'
import { type Device, openDevice, type Tensor } from '../device/index.ts'
import { interpretBackend } from '../device/interpret-backend.ts'
import { FoveaError, rowRange, type Value, zeros } from '../tile/index.ts'
import { type AttentionRequest, attention, mergeStates, type Normalizer, plan } from './index.ts'
import { causal, document, slidingWindow } from './masks/index.ts'

let device: Device
beforeAll(async () => {
  device = await openDevice('interpret')
})
afterAll(() => device.dispose())

let seed = 1
const tensor = (shape: readonly number[], dtype: 'f32' | 'f16' | 'i32' = 'f32', on: Device = device): Tensor => {
  const count = shape.reduce((a, b) => a * b, 1)
  return on.tensor(
    Array.from({ length: count }, () => (dtype === 'i32' ? 0 : Math.sin(seed++ * 12.9898))),
    shape,
    dtype,
  )
}
const request = (changes: Partial<AttentionRequest> = {}): AttentionRequest => ({
  query: tensor([1, 5, 4, 8]),
  key: tensor([1, 7, 2, 8]),
  value: tensor([1, 7, 2, 6]),
  ...changes,
})

/** rejects with this code, and a message that begins with the function's name */
async function refuses(code: FoveaError['code'], message: RegExp, changes: Partial<AttentionRequest>, on = device) {
  const before = on.disposed ? null : on.memory.allocated
  const error = await attention(on, request(changes)).then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(FoveaError)
  expect((error as FoveaError).message).toMatch(/^attention: /)
  expect((error as FoveaError).message).toMatch(message)
  expect((error as FoveaError).code).toBe(code)
  return { before }
}

describe('bad input, one by one', () => {
  test('mismatched shapes', async () => {
    await refuses('shape', /one head width; got query f32 \[1, 5, 4, 8\], key f32 \[1, 7, 2, 9\]/, {
      key: tensor([1, 7, 2, 9]),
    })
    await refuses('shape', /as many tokens and heads/, { value: tensor([1, 6, 2, 6]) })
    await refuses('shape', /as many tokens and heads/, { value: tensor([1, 7, 4, 6]) })
    await refuses('shape', /one batch size/, { key: tensor([2, 7, 2, 8]) })
    await refuses('shape', /query must be \[batch, tokens, heads, width\]/, { query: tensor([5, 4, 8]) })
    await refuses('shape', /sinks must be \[4\]/, { sinks: tensor([2]) })
    await refuses('shape', /output must be \[1, 5, 4, 6\]/, { output: tensor([1, 5, 4, 8]) })
    await refuses('shape', /lse must be \[1, 4, 5\]/, { lse: tensor([1, 5, 4]) })
  })
  test('mismatched dtypes', async () => {
    await refuses('dtype', /one dtype; got query f32 .* key f16/, { key: tensor([1, 7, 2, 8], 'f16') })
    await refuses('dtype', /query must be f32, f16 or bf16; got query i32/, { query: tensor([1, 5, 4, 8], 'i32') })
    await refuses('dtype', /output must have the dtype of query/, { output: tensor([1, 5, 4, 6], 'f16') })
  })
  test('a head count that is no multiple of the key and value heads', async () => {
    await refuses('shape', /query heads, 3, must be a multiple of the key and value heads, 2/, {
      query: tensor([1, 5, 3, 8]),
    })
    await refuses('shape', /must be a multiple/, { key: tensor([1, 7, 0, 8]), value: tensor([1, 7, 0, 6]) })
  })
  test('head widths above 256', async () => {
    await refuses('unsupported', /go up to 256/, { query: tensor([1, 5, 4, 257]), key: tensor([1, 7, 2, 257]) })
    await refuses('unsupported', /go up to 256/, { value: tensor([1, 7, 2, 257]) })
  })
  test('a last dimension that is not contiguous', async () => {
    await refuses('shape', /last dimension of key must be contiguous \(strides/, {
      key: tensor([1, 8, 2, 7]).transpose(1, 3),
    })
  })
  test('cuSeqlens that decrease, overrun, do not start at 0 or stop short', async () => {
    const key = tensor([1, 5, 2, 8])
    const value = tensor([1, 5, 2, 6])
    await refuses('argument', /cuSeqlensQ must not decrease \(at 2\), got \[0, 3, 2, 5\] for 5 tokens/, {
      key,
      value,
      cuSeqlensQ: [0, 3, 2, 5],
    })
    await refuses('argument', /cuSeqlensQ must not pass the end/, { key, value, cuSeqlensQ: [0, 3, 6] })
    await refuses('argument', /must start at 0/, { key, value, cuSeqlensQ: [1, 5] })
    await refuses('argument', /must end at the number of tokens/, { key, value, cuSeqlensQ: [0, 4] })
    await refuses('argument', /must hold integers/, { key, value, cuSeqlensQ: [0, 2.5, 5] })
    await refuses('shape', /must be as long/, { cuSeqlensQ: [0, 5], cuSeqlensK: [0, 3, 7] })
    await refuses('shape', /batch size of 1, got 2/, {
      query: tensor([2, 5, 4, 8]),
      key: tensor([2, 5, 2, 8]),
      value: tensor([2, 5, 2, 6]),
      cuSeqlensQ: [0, 5],
    })
  })
  test('a disposed tensor, a disposed device', async () => {
    const gone = tensor([1, 7, 2, 8])
    gone.dispose()
    await refuses('disposed', /key f32 \[1, 7, 2, 8\] was disposed/, { key: gone })
    const ids = tensor([7], 'i32')
    const maskMod = document(ids)
    const captured = await attention(device, request({ maskMod }))
    captured.output.dispose()
    ids.dispose()
    await expect(attention(device, request({ maskMod }))).rejects.toThrow(/disposed/)
    const other = await openDevice('interpret')
    const inputs = request({ query: tensor([1, 5, 4, 8], 'f32', other) })
    other.dispose()
    await refuses('disposed', /interpret device was disposed/, inputs, other)
  })
  test('a tensor of another device', async () => {
    const other = await openDevice('interpret')
    await refuses('device', /query f32 \[1, 5, 4, 8\] belongs to another device/, {
      query: tensor([1, 5, 4, 8], 'f32', other),
    })
    const ids = tensor([7], 'i32', other)
    await refuses('device', /captured tensor i32 \[7\] belongs to another device/, { maskMod: document(ids) })
    const slopes = tensor([4], 'f32', other)
    await refuses('device', /captured tensor/, { scoreMod: ({ score, head }) => score.mul(slopes.at(head)) })
    other.dispose()
  })
  test('hooks that return the wrong kind', async () => {
    await refuses('dtype', /scoreMod must return a number value, got bool/, { scoreMod: ({ score }) => score.gt(0) })
    await refuses('dtype', /maskMod must return a boolean value, got i32/, { maskMod: ({ q, k }) => q.sub(k) })
    await refuses('dtype', /maskMod must return a boolean value, got number/, { maskMod: (() => 1) as never })
    await refuses('dtype', /scoreMod must return a number value, got undefined/, {
      scoreMod: (() => undefined) as never,
    })
  })
  test('hooks that are no functions, or not element-wise', async () => {
    await refuses('argument', /maskMod must be a function, got string/, { maskMod: 'causal' as never })
    await refuses('argument', /scoreMod must be a function, got object/, { scoreMod: {} as never })
    await refuses('unsupported', /scoreMod must be a function of one query and one key, got a reduce over positions/, {
      scoreMod: ({ score }) => score.sub(score.rowMax()),
    })
    await refuses('unsupported', /scoreMod must be a function of one query and one key, got a transpose/, {
      scoreMod: ({ score }) => score.T,
    })
    await refuses('unsupported', /maskMod must be a function of one query and one key, got a scan/, {
      maskMod: ({ q, k }) => q.cumsumRows().ge(k),
    })
    await refuses('shape', /scoreMod must return one value per position, got \[4, 1\]/, {
      scoreMod: ({ score }) => score.add(rowRange(0, 4)),
    })
  })
  test('block masks that lack a part, or whose rows go back', async () => {
    for (const blockMask of [{}, { blocks: [[true]] }, { blockSize: [16, 16] }])
      await refuses('argument', /blockMask must have blockSize, two integers, and blocks/, {
        blockMask: blockMask as never,
      })
    for (const rowStart of [
      [0, 1, 0],
      [0, Number.NaN, 1],
      [-1, 0, 1],
    ])
      await refuses('argument', /blockMask.blocks.rowStart holds integers that do not decrease/, {
        blockMask: { blockSize: [3, 7], blocks: { rowStart, columns: [0] } },
      })
  })
  test('what is no tensor, and tile sizes that are no sizes', async () => {
    await refuses('argument', /key must be a tensor, got nothing/, { key: undefined as never })
    await refuses('argument', /query must be a tensor, got object/, { query: new Float32Array(4) as never })
    await refuses('argument', /output must be a tensor, got number/, { output: 3 as never })
    for (const [name, size] of [
      ['tileQ', 0],
      ['tileK', 2.5],
      ['padTo', Number.NaN],
      ['tileQ', 1e5],
    ] as const)
      await refuses('argument', new RegExp(`tiling.${name} must be an integer from 1 to 1024, got ${size}`), {
        tiling: { tileQ: 8, tileK: 8, padTo: 4, [name]: size },
      })
    await refuses('argument', /tiling.tileK must be an integer from 1 to 1024, got undefined/, {
      tiling: { tileQ: 8 } as never,
    })
  })
  test('a scale that is no number, a block mask with packed sequences', async () => {
    await refuses('argument', /scale must be a finite number, got NaN/, { scale: Number.NaN })
    await refuses('unsupported', /blockMask does not go with packed sequences/, {
      cuSeqlensQ: [0, 5],
      cuSeqlensK: [0, 7],
      blockMask: { blockSize: [16, 16], blocks: [[true]] },
    })
    await refuses('shape', /blockMask.blocks must be 1 rows of 1 blocks/, {
      blockMask: { blockSize: [16, 16], blocks: [[true, true]] },
    })
    await refuses('shape', /blockMask.heads must be 1 or 4, got 2/, {
      blockMask: { blockSize: [16, 16], blocks: Uint8Array.of(1, 1), heads: 2 },
    })
  })
  test('a refused request allocates nothing, and what fails later frees what it allocated', async () => {
    const inputs = request({ cuSeqlensQ: [0, 9] })
    const before = device.memory.allocated
    await expect(attention(device, inputs)).rejects.toThrow(FoveaError)
    expect(device.memory.allocated).toBe(before)
  })
  test('a request beyond the limits is refused before anything is allocated', async () => {
    const backend = interpretBackend()
    const small = new BackedDevice({ ...backend, info: { ...backend.info, limits: { maxBufferSize: 400 } } })
    const inputs = request({
      query: tensor([1, 5, 4, 8], 'f32', small),
      key: tensor([1, 7, 2, 8], 'f32', small),
      value: tensor([1, 7, 2, 6], 'f32', small),
    })
    const before = small.memory.allocated
    await expect(attention(small, inputs)).rejects.toThrow(/^attention: output .* takes 480 bytes, .* allows 400/)
    expect(small.memory.allocated).toBe(before)
  })
})

describe('edges', () => {
  test('zero-length sequences give empty or zero output', async () => {
    const none = await attention(device, request({ query: tensor([1, 0, 4, 8]) }))
    expect([none.output.shape, none.lse.shape]).toEqual([
      [1, 0, 4, 6],
      [1, 4, 0],
    ])
    expect((await none.output.read()).length).toBe(0)
    for (const queries of [5, 1]) {
      const noKeys = await attention(device, {
        query: tensor([1, queries, 4, 8]),
        key: tensor([1, 0, 2, 8]),
        value: tensor([1, 0, 2, 6]),
      })
      expect([...(await noKeys.output.read())].every((x) => x === 0)).toBe(true)
      expect([...(await noKeys.lse.read())].every((x) => x === Number.NEGATIVE_INFINITY)).toBe(true)
    }
    const noBatch = await attention(device, {
      query: tensor([0, 5, 4, 8]),
      key: tensor([0, 7, 2, 8]),
      value: tensor([0, 7, 2, 6]),
    })
    expect(noBatch.output.size).toBe(0)
    const packed = await attention(device, request({ cuSeqlensQ: [0, 0, 3, 5], cuSeqlensK: [0, 4, 4, 7] }))
    const output = await packed.output.read()
    expect([...output.subarray(0, 3 * 24)].every((x) => x === 0)).toBe(true)
    expect([...output.subarray(3 * 24)].some((x) => x !== 0)).toBe(true)
  })

  test.each(['interpret', 'wasm'] as const)('scores that are NaN leave NaN, not an empty row (%s)', async (kind) => {
    const on = await openDevice(kind)
    const key = on.tensor(
      Array.from({ length: 30 * 4 }, (_, i) => (i === 9 ? Number.NaN : Math.sin(i))),
      [1, 30, 1, 4],
    )
    for (const queries of [1, 20]) {
      const query = tensor([1, queries, 1, 4], 'f32', on)
      const state = await attention(on, { query, key, value: key, maskMod: ({ q }) => q.lt(19) })
      const clean = await attention(on, { query, key: query, value: query })
      for (const { output, lse } of [state, mergeStates(on, clean, state), mergeStates(on, state, clean)]) {
        expect((await output.read())[0]).toBeNaN()
        expect((await lse.read())[0]).toBeNaN()
      }
      if (queries === 20) expect((await state.lse.read())[19]).toBe(Number.NEGATIVE_INFINITY)
    }
    on.dispose()
  })

  test('a captured index out of range reads 0', async () => {
    const inputs = request()
    const table = device.tensor([5, 5, 5], [3])
    const beyond = await attention(device, { ...inputs, scoreMod: ({ score, q }) => score.add(table.at(q.add(100))) })
    const plain = await attention(device, inputs)
    expect(await beyond.output.read()).toEqual(await plain.output.read())
  })

  test('integers that change between calls are read again', async () => {
    const ids = device.tensor([0, 0, 0, 0, 0, 0, 0], [7], 'i32')
    const inputs = request()
    const maskMod = document(ids)
    const all = await attention(device, inputs)
    expect(await (await attention(device, { ...inputs, maskMod })).output.read()).toEqual(await all.output.read())
    ids.write([0, 1, 1, 1, 1, 1, 1])
    const first = await attention(device, { ...inputs, maskMod, query: inputs.query.slice(1, 0, 1) })
    const keyZero = { key: inputs.key.slice(1, 0, 1), value: inputs.value.slice(1, 0, 1) }
    const alone = await attention(device, { ...inputs, ...keyZero, query: inputs.query.slice(1, 0, 1) })
    expect(await first.output.read()).toEqual(await alone.output.read())
    const changed = await attention(device, { ...inputs, maskMod })
    expect([...(await changed.output.read()).subarray(0, 24)]).toEqual([...(await alone.output.read())])
  })

  test('writes into tensors that are given, and returns them', async () => {
    const inputs = request()
    const output = device.zeros([1, 5, 4, 6])
    const lse = device.zeros([1, 4, 5])
    const result = await attention(device, { ...inputs, output, lse })
    expect(result.output).toBe(output)
    expect(result.lse).toBe(lse)
    expect(await output.read()).toEqual(await (await attention(device, inputs)).output.read())
  })

  test('a call leaves only its results, and repeated calls take no more', async () => {
    const inputs = request({ maskMod: causal.and(slidingWindow(2)) })
    const once = async () => {
      const { output, lse } = await attention(device, inputs)
      output.dispose()
      lse.dispose()
    }
    await once()
    const before = device.memory.allocated
    for (let i = 0; i < 5; i++) await once()
    expect(device.memory.allocated).toBe(before)
  })

  test('a normaliser written by a user: squared relu, without a denominator', async () => {
    const squaredRelu: Normalizer = {
      name: 'squared relu',
      units: 'natural',
      split: null,
      init: (tileQ) => ({ l: zeros([tileQ, 1]) }),
      step: ({ l }, s) => {
        const p = s.max(0).mul(s.max(0))
        return { state: { l: (l as Value).add(p.rowSum()) }, p, alpha: null }
      },
      finish: ({ l }) => ({ scale: null, lse: (l as Value).log() }),
    }
    for (const queries of [5, 1]) {
      const inputs = request({
        query: tensor([1, queries, 1, 8]),
        key: tensor([1, 20, 1, 8]),
        value: tensor([1, 20, 1, 6]),
      })
      const { output } = await attention(device, { ...inputs, normalizer: squaredRelu, scale: 1 })
      const [q, k, v] = [await inputs.query.read(), await inputs.key.read(), await inputs.value.read()]
      const expected = Array.from({ length: queries * 6 }, (_, i) => {
        const [t, d] = [Math.floor(i / 6), i % 6]
        let sum = 0
        for (let at = 0; at < 20; at++) {
          let score = 0
          for (let c = 0; c < 8; c++) score += (q[t * 8 + c] as number) * (k[at * 8 + c] as number)
          sum += Math.max(score, 0) ** 2 * (v[at * 6 + d] as number)
        }
        return sum
      })
      const got = await output.read()
      expected.forEach((x, i) => {
        expect(got[i]).toBeCloseTo(x, 4)
      })
    }
  })

  test('a block that is not to ask the mask does not, where its last tile hangs over the end of the keys', async () => {
    const inputs = request({ query: tensor([1, 20, 4, 8]), tiling: { tileQ: 4, tileK: 4, padTo: 4 } })
    const blockMask = { blockSize: [20, 8] as const, blocks: new Uint8Array([2]) }
    const open = await attention(device, inputs)
    const masked = await attention(device, { ...inputs, blockMask, maskMod: ({ k }) => k.lt(2) })
    expect(await masked.output.read()).toEqual(await open.output.read())
    expect(await masked.lse.read()).toEqual(await open.lse.read())
  })

  test('block masks whose blocks are no multiple of the tiles are exact', async () => {
    const inputs = { query: tensor([1, 40, 4, 8]), key: tensor([1, 50, 2, 8]), value: tensor([1, 50, 2, 6]) }
    const blocks = Uint8Array.from({ length: 4 * 5 }, (_, i) => (i * 7 + 3) % 3)
    const table = device.tensor(Int32Array.from(blocks), [4, 5])
    const asked = await attention(device, { ...inputs, maskMod: causal, blockMask: { blockSize: [10, 11], blocks } })
    const cell = await attention(device, {
      ...inputs,
      maskMod: ({ q, k }) => {
        const at = table.at(q.div(10), k.div(11))
        return at.eq(2).or(at.eq(1).and(q.ge(k)))
      },
    })
    expect(await asked.output.read()).toEqual(await cell.output.read())
    expect(await asked.lse.read()).toEqual(await cell.lse.read())
    const byHead = Uint8Array.from({ length: 4 * 3 * 4 }, (_, i) => ((i * 5) % 7 > 2 ? 1 : 0))
    const heads = device.tensor(Int32Array.from(byHead), [4, 3, 4])
    const perHead = await attention(device, { ...inputs, blockMask: { blockSize: [16, 16], blocks: byHead, heads: 4 } })
    const same = await attention(device, {
      ...inputs,
      maskMod: ({ q, k, head }) => heads.at(head, q.div(16), k.div(16)).ne(0),
    })
    expect(await perHead.output.read()).toEqual(await same.output.read())
  })
})

describe('plan', () => {
  test('says what a call allocates before it does', async () => {
    for (const queries of [12, 1]) {
      const inputs = request({ maskMod: causal, query: tensor([1, queries, 4, 8]) })
      const planned = await plan(device, inputs)
      const before = device.memory.allocated
      const { output, lse } = await attention(device, { ...inputs, scale: 0.5 + queries })
      const kept = device.memory.allocated - before
      expect(planned.algorithm).toBe(queries === 1 ? 'split-kv' : 'flash')
      expect(planned.writes).toBe(queries * 4 * 6 * 4 + 4 * queries * 4)
      expect(planned.reads).toBe(4 * (queries * 32 + 7 * 16 + 7 * 12))
      expect(kept).toBeLessThanOrEqual(Object.values(planned.allocates).reduce((a, b) => a + b, 0) + 64)
      output.dispose()
      lse.dispose()
    }
    const spec = (tokens: number) => ({
      dtype: 'f16' as const,
      shape: [1, tokens, 8, 64],
      strides: [tokens * 512, 512, 64, 1],
      offset: 0,
    })
    const long = await plan(device, { query: spec(16384), key: spec(16384), value: spec(16384), maskMod: causal })
    expect(long.density).toBeCloseTo(0.5, 2)
    expect(long.allocates.output).toBe(16384 * 8 * 64 * 2)
    // nothing grows with tokens²
    expect((long.allocates.items ?? 0) + (long.allocates.runs ?? 0)).toBeLessThan(16384 * 16)
    await expect(plan(device, { query: spec(4), key: spec(4), value: { ...spec(4), dtype: 'f32' } })).rejects.toThrow(
      /^plan: .*one dtype/,
    )
  })
})

describe('mergeStates', () => {
  test('refuses what does not fit together', async () => {
    const state = { output: tensor([1, 5, 4, 6]), lse: tensor([1, 4, 5]) }
    expect(() => mergeStates(device, state, { ...state, output: tensor([1, 5, 4, 7]) })).toThrow(
      /^mergeStates: outputs must have one shape/,
    )
    expect(() => mergeStates(device, state, { ...state, lse: tensor([1, 5, 4]) })).toThrow(
      /^mergeStates: lse must be \[B, H, T\]/,
    )
    expect(() => mergeStates(device, state, { ...state, output: tensor([1, 5, 4, 6], 'f16') })).toThrow(/one dtype/)
    const gone = tensor([1, 4, 5])
    gone.dispose()
    expect(() => mergeStates(device, state, { ...state, lse: gone })).toThrow(/^mergeStates: .* was disposed/)
  })
})
