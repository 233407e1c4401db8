import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from './byte-writer.ts'
import { encodeModule } from './encode-module.ts'
import { FunctionBuilder } from './function-builder.ts'
import {
  call,
  f32,
  f32x4,
  get,
  i32,
  i32x4,
  type Local,
  load,
  onLane,
  op,
  select,
  set,
  shuffle32,
  store,
  tee,
} from './instruction.ts'
import { type Opcode, opcodes } from './opcodes.ts'
import { printWat } from './print-wat.ts'

const memory = { shared: false, minPages: 1, maxPages: 1 }

function instantiate(...functions: FunctionBuilder[]) {
  const bytes = encodeModule({ functions: functions.map((f) => f.finish(true)), memory })
  const own = new WebAssembly.Memory({ initial: 1, maximum: 1 })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory: own } })
  return { memory: own, exports: exports as Record<string, (...values: number[]) => number> }
}

describe('integers of the binary format', () => {
  it('read back as they were written', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(), (signed, unsigned) => {
        const writer = new ByteWriter()
        writer.signed(signed)
        const split = writer.length
        writer.unsigned(unsigned)
        const bytes = writer.finish()
        let value = 0n
        for (let i = 0; i < split; i++) value |= BigInt((bytes[i] as number) & 0x7f) << BigInt(7 * i)
        expect(BigInt.asIntN(7 * split, value)).toBe(BigInt(signed))
        value = 0n
        for (let i = split; i < bytes.length; i++)
          value |= BigInt((bytes[i] as number) & 0x7f) << BigInt(7 * (i - split))
        expect(value).toBe(BigInt(unsigned))
      }),
    )
  })
})

describe('the encoder', () => {
  it('knows every instruction as the engine does', () => {
    const relaxed = new Set<string>(Object.keys(opcodes).filter((name) => name.includes('relaxed')))
    for (const [name, opcode] of Object.entries(opcodes) as [keyof typeof opcodes, Opcode][]) {
      if (relaxed.has(name)) continue
      const [parameters = '', result = ''] = opcode.signature.split('>')
      const f = new FunctionBuilder('f', [])
      const types = { i: 'i32', l: 'i64', f: 'f32', d: 'f64', v: 'v128' } as const
      const operands = [...parameters].map((letter) => get(f.local(types[letter as keyof typeof types], 'x')))
      const instruction = opcode.immediate === 'none' ? op(name, ...operands) : onLane(name, 0, operands)
      if (instruction.type) f.emit(set(f.local(instruction.type, 'result'), instruction))
      else f.emit(instruction)
      expect(instruction.type).toBe(result === '' ? undefined : types[result as keyof typeof types])
      expect(WebAssembly.validate(encodeModule({ functions: [f.finish(true)], memory })), name).toBe(true)
    }
  })

  it('computes with locals, control flow and calls', () => {
    const square = new FunctionBuilder('square', [['x', 'i32']], 'i32')
    const result = square.local('i32', 'result')
    square.emit(set(result, op('i32.mul', get(square.parameters[0] as Local), get(square.parameters[0] as Local))))
    square.emit(store('i32.store', i32(0), get(result)))
    const f = new FunctionBuilder('sum', [['n', 'i32']])
    const [i, sum] = [f.local('i32', 'i'), f.local('i32', 'sum')]
    const n = f.parameters[0] as Local
    // the squares of odd numbers below n that are not 5, until the sum passes 1000
    f.block('done', (done) => {
      f.forRange(i, i32(0), get(n), 1, () => {
        f.when(op('i32.and', get(i), i32(1)), () => {
          f.when(
            op('i32.eq', get(i), i32(5)),
            () => {},
            () => f.emit(set(sum, op('i32.add', get(sum), op('i32.mul', get(i), tee(i, get(i)))))),
          )
        })
        f.emit({ kind: 'br', label: done, condition: op('i32.gt_s', get(sum), i32(1000)), type: undefined })
      })
    })
    f.emit(store('i32.store', i32(8), select(get(sum), i32(-1), op('i32.gt_s', get(sum), i32(0)))))
    f.repeat(3, [[sum, 10]], () => f.emit(store('i32.store', i32(12), get(sum))))
    const { memory: own, exports } = instantiate(f)
    const words = new Int32Array(own.buffer)
    exports.sum?.(8)
    expect([words[2], words[3]]).toEqual([1 + 9 + 49, 59 + 20])
    exports.sum?.(0)
    expect(words[2]).toBe(-1)
    exports.sum?.(100000)
    expect(words[2]).toBe(
      [1, 3, 7, 9, 11, 13, 15, 17, 19].reduce((total, k) => (total > 1000 ? total : total + k * k), 0),
    )
  })

  it('computes with vectors', () => {
    const f = new FunctionBuilder('vectors', [])
    const a = f.let(i32x4([1, -2, 3, -0x80000000]), 'a')
    const x = f.let(op('f32x4.add', f32x4(0.1), op('f32x4.splat', f32(2.5))), 'x')
    f.emit(store('v128.store', i32(0), shuffle32(get(a), get(x), [3, 0, 1, 4])))
    f.emit(onLane('v128.store32_lane', 2, [i32(16), get(a)], 4))
    f.emit(store('f32.store', i32(24), onLane('f32x4.extract_lane', 3, [get(x)])))
    f.emit(store('v128.store', i32(32), load('v128.load32_splat', i32(0), 20)))
    const { memory: own, exports } = instantiate(f)
    exports.vectors?.()
    const [words, floats] = [new Int32Array(own.buffer), new Float32Array(own.buffer)]
    expect([...words.slice(0, 3)]).toEqual([-0x80000000, 1, -2])
    expect(floats[3]).toBe(Math.fround(Math.fround(0.1) + 2.5))
    expect(words[5]).toBe(3)
    expect(floats[6]).toBe(floats[3])
    expect([...words.slice(8, 12)]).toEqual([3, 3, 3, 3])
  })

  it('refuses operands of the wrong type where they are given', () => {
    const f = new FunctionBuilder('f', [])
    expect(() => op('i32.add', i32(1), f32(1))).toThrow('i32.add(): takes (i32, i32), given (i32, f32)')
    expect(() => op('i32.eqz')).toThrow(TypeError)
    expect(() => set(f.local('v128'), i32(0))).toThrow(TypeError)
    expect(() => f.emit(i32(1))).toThrow('a statement leaves a i32')
    expect(() => call({ name: 'g', parameters: ['i32'], result: undefined }, f32(1))).toThrow(TypeError)
    expect(() => encodeModule({ functions: [], memory: { ...memory } }) && load('i32.load', i32(0), -1)).toThrow(
      RangeError,
    )
  })

  it('prints folded text', () => {
    const f = new FunctionBuilder('f', [['x', 'i32']])
    f.comment('adds')
    f.when(get(f.parameters[0] as Local), () => f.emit(store('f32.store', i32(4), f32(Number.NEGATIVE_INFINITY), 8)))
    expect(printWat({ functions: [f.finish(true)], memory })).toBe(
      [
        '(module',
        '  (import "env" "memory" (memory 1 1))',
        '  (func $f (export "f") (param $x i32)',
        '    ;; adds',
        '    (if (local.get $x)',
        '      (then',
        '        (f32.store offset=8 (i32.const 4) (f32.const -inf))',
        '      )',
        '    )))',
        '',
      ].join('\n'),
    )
  })
})
