import { describe, expect, it } from 'vitest'
import { colRange, defineProgram, dot, load, loop, rowRange, scalar, store, type Value, zeros } from '../tile/index.ts'
import { printProgram } from './print.ts'
import type { Region } from './schedule.ts'

const depthOf = (region: Region, op: string, depth = 0): number[] =>
  region.statements.flatMap((s) =>
    s.kind === 'loop' ? depthOf(s.body, op, depth + 1) : s.kind === 'value' && s.node.op === op ? [depth] : [],
  )

describe('schedule', () => {
  it('moves values that depend on no loop variable out of the loop, and keeps the rest in', () => {
    const program = defineProgram('hoist', (p) => {
      const a = p.input('a', 'f32', [null, 8])
      const out = p.output('out', 'f32', [null, 8])
      const { acc } = loop({ to: 4 }, { acc: zeros([8, 8]) }, (i, { acc }) => {
        const fixed = load(a, [rowRange(0, 8), colRange(0, 8)])
        const moving = load(a, [rowRange(i.mul(8), 8), colRange(0, 8)])
        return { acc: acc.add(dot(fixed, moving.T)) }
      })
      p.emit(store(out, [rowRange(0, 8), colRange(0, 8)], acc))
    })
    expect(depthOf(program.body, 'load')).toEqual([0, 1])
    expect(depthOf(program.body, 'dot')).toEqual([1])
  })

  it('makes equal expressions one node and folds constants', () => {
    const program = defineProgram('cse', (p) => {
      const a = p.input('a', 'f32', [null])
      const out = p.output('out', 'f32', [null])
      const i = rowRange(0, 4)
      p.emit(
        store(
          out,
          [i],
          load(a, [i])
            .mul(scalar(2).mul(3))
            .add(load(a, [i]).mul(6))
            .add(0),
        ),
      )
    })
    expect(depthOf(program.body, 'load')).toHaveLength(1)
    expect(depthOf(program.body, 'binary')).toHaveLength(2)
  })

  it('keeps the order and place of stores, and loops that only store', () => {
    const program = defineProgram('stores', (p) => {
      const out = p.output('out', 'i32', [null])
      loop(
        { to: 3 },
        {},
        (i, _, emit) => {
          loop(
            { to: 2 },
            {},
            (j, __, inner) => {
              inner(store(out, [j], 7))
              return {}
            },
            emit,
          )
          emit(store(out, [i.add(2)], i))
          return {}
        },
        p.emit,
      )
    })
    const outer = program.body.statements.find((s) => s.kind === 'loop')
    expect(outer?.kind === 'loop' && outer.body.statements.map((s) => s.kind)).toEqual(['loop', 'value', 'store'])
  })

  it('nests a loop inside another only when it needs the other’s variables', () => {
    const program = defineProgram('free', (p) => {
      const out = p.output('out', 'f32', [null])
      const { y } = loop({ to: 3 }, { y: scalar(0) }, (_i, { y }) => {
        const inner = loop({ to: 5 }, { x: scalar(1) }, (_j, { x }) => ({ x: x.mul(2) }))
        return { y: y.add(inner.x) }
      })
      p.emit(store(out, [0], y))
    })
    expect(program.body.statements.filter((s) => s.kind === 'loop')).toHaveLength(2)
  })

  it('rejects a loop variable outside its loop', () => {
    let escaped: Value | null = null
    expect(() =>
      defineProgram('escape', (p) => {
        const out = p.output('out', 'i32', [null])
        loop({ to: 3 }, { x: scalar(0, 'i32') }, (i, { x }) => {
          escaped = i
          return { x }
        })
        p.emit(store(out, [0], escaped as unknown as Value))
      }),
    ).toThrow(/escape: loop variable i is used outside its loop/)
  })

  it('binds captured tensors after the declared parameters, each once, and prints the same text for the same program', () => {
    const captured = {
      kind: 'tensor',
      name: 'slopes',
      dtype: 'f32',
      sizes: [null],
      access: 'read',
      alignment: 1,
      source: {},
    } as const
    const make = () =>
      defineProgram('capture', (p) => {
        const out = p.output('out', 'f32', [null])
        p.emit(store(out, [0], load(captured, [p.programId(0)]).add(load({ ...captured }, [1]))))
      })
    expect(make().params.map((x) => x.name)).toEqual(['out', 'captured0'])
    expect(printProgram(make())).toBe(printProgram(make()))
  })
})
