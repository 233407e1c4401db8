import { describe, expect, it } from 'vitest'
import { colRange, defineProgram, dot, load, loop, rowRange, store, zeros } from '../tile/index.ts'
import { printProgram } from './print.ts'
import type { Program } from './schedule.ts'
import { verifyProgram } from './verify.ts'

const program = defineProgram('sum', (p) => {
  const a = p.input('a', 'f32', [null, 8])
  const out = p.output('out', 'f32', [null, 8])
  const { acc } = loop({ to: 4 }, { acc: zeros([8, 8]) }, (i, { acc }) => {
    const tile = load(a, [rowRange(i.mul(8), 8), colRange(0, 8)])
    return { acc: acc.add(dot(tile, tile.T)) }
  })
  p.emit(store(out, [rowRange(0, 8), colRange(0, 8)], acc))
})

/** the program with the order of its loop body reversed */
function reversed(original: Program): Program {
  const statements = original.body.statements.map((s) =>
    s.kind === 'loop' ? { ...s, body: { statements: [...s.body.statements].reverse() } } : s,
  )
  return { ...original, body: { statements } }
}

describe('verifyProgram', () => {
  it('accepts what the scheduler makes', () => {
    expect(() => verifyProgram(program)).not.toThrow()
  })
  it('rejects uses before definitions, missing parameters, doubled names and loads of outputs', () => {
    expect(() => verifyProgram(reversed(program))).toThrow(/verify sum: .* is used before it is computed/)
    expect(() => verifyProgram({ ...program, params: program.params.slice(1) })).toThrow(
      /verify sum: tensor a is no parameter/,
    )
    expect(() => verifyProgram({ ...program, params: [...program.params, ...program.params] })).toThrow(
      /two parameters are called a/,
    )
    expect(() =>
      verifyProgram(
        defineProgram('back', (p) => {
          const out = p.output('out', 'f32', [null])
          p.emit(store(out, [0], load(out, [1])))
        }),
      ),
    ).toThrow(/out is loaded from but declared for writing/)
  })
  it('accepts loads and stores of what is updated, and prints it as such', () => {
    const update = defineProgram('update', (p) => {
      const x = p.update('x', 'f32', [null])
      p.emit(store(x, [rowRange(0, 4)], load(x, [rowRange(0, 4)]).add(1)))
    })
    expect(() => verifyProgram(update)).not.toThrow()
    expect(printProgram(update)).toMatch(/^program update\(inout x: f32\[\?\]\)/)
  })
})
