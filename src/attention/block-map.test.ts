import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { binaryMath, unaryMath } from '../ir/scalar-math.ts'
import { type Node, rangeExtremes, readIntervals, type TensorParam, Value } from '../tile/index.ts'
import { load } from '../tile/language.ts'
import { type BlockMapSpec, blockMap } from './block-map.ts'
import { readBlockMask } from './block-mask.ts'
import { drawBlockMap } from './draw-block-map.ts'
import type { Captured, MaskMod } from './hooks.ts'
import * as masks from './masks/index.ts'
import { traceMask } from './traced-mask.ts'

/** a captured tensor without a device */
function hostTensor(values: readonly number[]): Captured & { values: readonly number[] } {
  const param: TensorParam = {
    kind: 'tensor',
    name: 'ids',
    dtype: 'i32',
    sizes: [null],
    access: 'read',
    alignment: 1,
    source: values,
  }
  const spec = { dtype: 'i32' as const, shape: [values.length], strides: [1], offset: 0 }
  return { ...spec, values, at: (...indices) => load(param, indices) }
}

const known = (tensor: TensorParam) => {
  const data = tensor.source as readonly number[]
  const spec = { dtype: 'i32' as const, shape: [data.length], strides: [1], offset: 0 }
  return { shape: spec.shape, extremes: rangeExtremes({ spec, data }) }
}

/** the mask at one point, on the traced expression */
function allowedAt(root: Node, variables: readonly Node[], point: readonly number[]): boolean {
  const at = (node: Node): number => {
    if (node.op === 'const') return node.value
    if (node.op === 'arg') return point[variables.indexOf(node)] as number
    if (node.op === 'unary') return unaryMath[node.fn](at(node.x))
    if (node.op === 'binary') return binaryMath(node.fn, node.a.dtype)(at(node.a), at(node.b))
    if (node.op === 'load') return (node.tensor.source as number[])[at(node.indices[0] as Node)] ?? 0
    throw new Error(node.op)
  }
  return at(root) !== 0
}

function mapOf(maskMod: MaskMod, spec: Partial<BlockMapSpec> & { qLength: number; kLength: number }) {
  const traced = traceMask('test', maskMod, () => 0)
  const mask = readIntervals(traced.root, traced.variables, known)
  const map = blockMap({ tileQ: 16, tileK: 8, mask, heads: [1, 1], batch: 0, ...spec })
  return { map, traced }
}

const ids = hostTensor([...Array(40).fill(0), ...Array(25).fill(1), ...Array(70).fill(2), ...Array(60).fill(3)])
const someMask = fc.oneof(
  fc.constantFrom<MaskMod>(
    masks.causal,
    masks.causalBottomRight,
    masks.document(ids),
    masks.causal.and(masks.document(ids)),
    masks.neighborhood1d(70, 7),
    masks.neighborhood2d(8, 9, 3),
    masks.globalSliding(3, 9),
    masks.causal.or(masks.prefix(20)),
    masks.causal.not(),
  ),
  fc.tuple(fc.nat(60), fc.nat(30)).map(([left, right]) => masks.slidingWindow(left, right)),
  fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 9 })).map(([window, step]) => masks.dilated(window, step)),
  fc.integer({ min: -30, max: 30 }).map((offset) => masks.causalOffset(offset)),
)

describe('blockMap', () => {
  test('covers every allowed pair once, and full runs hold only allowed pairs', () => {
    const sizes = fc.record({ qLength: fc.integer({ min: 1, max: 90 }), kLength: fc.integer({ min: 1, max: 90 }) })
    const tiles = fc.record({ tileQ: fc.constantFrom(1, 16, 24), tileK: fc.constantFrom(8, 16, 32) })
    fc.assert(
      fc.property(someMask, sizes, tiles, (maskMod, { qLength, kLength }, { tileQ, tileK }) => {
        const { map, traced } = mapOf(maskMod, { qLength, kLength, tileQ, tileK })
        for (let q = 0; q < qLength; q++) {
          const tile = Math.floor(q / tileQ)
          const covered = new Uint8Array(kLength + tileK)
          for (let run = map.rowStart[tile] as number; run < (map.rowStart[tile + 1] as number); run++) {
            const [from, to, full] = map.runs.subarray(run * 3, run * 3 + 3) as unknown as [number, number, number]
            if (full && to > kLength) throw new Error('a full run leaves the keys')
            if (from % tileK || to % tileK || to <= from) throw new Error(`run ${from} to ${to}`)
            for (let k = from; k < to; k++) {
              if (covered[k]) throw new Error(`key ${k} twice`)
              covered[k] = full ? 2 : 1
            }
          }
          for (let k = 0; k < kLength; k++) {
            const allowed = allowedAt(traced.root, traced.variables, [q, k, 1, 0, qLength, kLength])
            if (allowed && !covered[k]) throw new Error(`pair ${q}, ${k} is lost`)
            if (!allowed && covered[k] === 2) throw new Error(`pair ${q}, ${k} is let in`)
          }
        }
      }),
      { numRuns: 400, verbose: 1 },
    )
  })

  test('skips and trusts what it can: causal has one partial tile per row of square tiles', () => {
    const { map } = mapOf(masks.causal, { qLength: 1024, kLength: 1024, tileQ: 64, tileK: 64 })
    expect(map.density).toBe((16 * 17) / 2 / 256)
    expect(map.fullDensity).toBe((16 * 15) / 2 / 256)
    expect([...map.runs.subarray(3, 9)]).toEqual([0, 64, 1, 64, 128, 0])
  })

  test('documents are skipped from minima and maxima, and unknown ones stay partial', () => {
    const { map } = mapOf(masks.document(ids), { qLength: 195, kLength: 195, tileQ: 5, tileK: 5 })
    expect(map.density).toBe((8 * 8 + 5 * 5 + 14 * 14 + 12 * 12) / (39 * 39))
    expect(map.fullDensity).toBe(map.density)
    const traced = traceMask('test', masks.document(ids), () => 0)
    const mask = readIntervals(traced.root, traced.variables)
    const unknown = blockMap({ qLength: 195, kLength: 195, tileQ: 5, tileK: 5, mask, heads: [0, 0], batch: 0 })
    expect([unknown.density, unknown.fullDensity]).toEqual([1, 0])
  })

  test("a caller's pattern: 0 skips, 1 asks the mask, 2 does not", () => {
    const shape = { batch: 1, heads: 2, qLength: 64, kLength: 64 }
    const blocks = Uint8Array.from([1, 0, 2, 1])
    const pattern = readBlockMask('test', { blockSize: [32, 32], blocks }, shape)
    const { map } = mapOf(masks.causal, { qLength: 64, kLength: 64, tileQ: 32, tileK: 32, pattern })
    expect([...map.runs]).toEqual([0, 32, 0, 0, 32, 1, 32, 64, 0])
    // a tile that spans differing blocks is partial
    const wide = mapOf(masks.causal, { qLength: 64, kLength: 64, tileQ: 32, tileK: 64, pattern }).map
    expect([...wide.runs]).toEqual([0, 64, 0, 0, 64, 0])
  })

  test('patterns come as bytes, rows of booleans and compressed rows alike', () => {
    const shape = { batch: 1, heads: 2, qLength: 33, kLength: 64 }
    const bytes = readBlockMask('test', { blockSize: [32, 32], blocks: Uint8Array.from([1, 0, 0, 1]) }, shape)
    const booleans = [
      [true, false],
      [false, true],
    ]
    const compressed = { rowStart: [0, 1, 2], columns: [0, 1] }
    for (const blocks of [booleans, compressed])
      expect(readBlockMask('test', { blockSize: [32, 32], blocks }, shape).cells).toEqual(bytes.cells)
    for (const wrong of [[[true]], { rowStart: [0, 1], columns: [0] }, Uint8Array.of(1), Uint8Array.of(1, 2, 3, 1)])
      expect(() => readBlockMask('attention', { blockSize: [32, 32], blocks: wrong }, shape)).toThrow(
        /^attention: blockMask/,
      )
  })

  test('draws as text', () => {
    const { map } = mapOf(masks.causal, { qLength: 64, kLength: 64, tileQ: 16, tileK: 16 })
    expect(drawBlockMap(map)).toBe(
      '▒···\n█▒··\n██▒·\n███▒\n4 × 4 tiles of 16 queries × 16 keys: 62.5 % streamed, 37.5 % full\n',
    )
  })

  test('a hook of the wrong kind is refused by name', () => {
    expect(() =>
      traceMask(
        'attention',
        ({ q, k }) => q.sub(k),
        () => 0,
      ),
    ).toThrow(/^attention: maskMod must return a boolean value, got i32/)
    expect(() => traceMask('attention', (() => true) as unknown as MaskMod, () => 0)).toThrow(/got boolean/)
    expect(new Value(traceMask('a', masks.causal, () => 0).root).dtype).toBe('bool')
  })
})
