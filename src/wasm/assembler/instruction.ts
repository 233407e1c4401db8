import { type OpcodeName, opcodes } from './opcodes.ts'

/** The value types of WebAssembly that the back end uses. */
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

/** A local variable of a function; its index is given when the function is encoded. */
export interface Local {
  readonly name: string
  readonly type: ValueType
}

/** A branch target: the end of a block or the head of a loop. */
export interface Label {
  readonly name: string
}

/** A callable function: imported or defined in the module. */
export interface FunctionReference {
  readonly name: string
  readonly parameters: readonly ValueType[]
  readonly result: ValueType | undefined
}

/**
 * One WebAssembly instruction with its operands as a tree. `type` is the type of its result, undefined when it has none.
 * A tree used twice is computed twice: share a value through a local.
 */
export type Instruction =
  | {
      readonly kind: 'op'
      readonly op: OpcodeName
      readonly operands: readonly Instruction[]
      readonly offset: number
      readonly lane: number
      readonly type: ValueType | undefined
    }
  | { readonly kind: 'const'; readonly type: 'i32' | 'f32'; readonly value: number }
  | { readonly kind: 'v128.const'; readonly type: 'v128'; readonly bytes: Uint8Array; readonly text: string }
  | {
      readonly kind: 'shuffle'
      readonly type: 'v128'
      readonly lanes: readonly number[]
      readonly operands: readonly [Instruction, Instruction]
    }
  | {
      readonly kind: 'select'
      readonly type: ValueType
      readonly operands: readonly [Instruction, Instruction, Instruction]
    }
  | { readonly kind: 'local.get'; readonly local: Local; readonly type: ValueType }
  | { readonly kind: 'local.set'; readonly local: Local; readonly value: Instruction; readonly type: undefined }
  | { readonly kind: 'local.tee'; readonly local: Local; readonly value: Instruction; readonly type: ValueType }
  | {
      readonly kind: 'call'
      readonly callee: FunctionReference
      readonly operands: readonly Instruction[]
      readonly type: ValueType | undefined
    }
  | {
      readonly kind: 'block' | 'loop'
      readonly label: Label
      readonly body: readonly Instruction[]
      readonly type: undefined
    }
  | {
      readonly kind: 'if'
      readonly condition: Instruction
      readonly then: readonly Instruction[]
      readonly else: readonly Instruction[]
      readonly type: undefined
    }
  | {
      readonly kind: 'br'
      readonly label: Label
      readonly condition: Instruction | undefined
      readonly type: undefined
    }
  | { readonly kind: 'comment'; readonly text: string; readonly type: undefined }

const letters: Readonly<Record<string, ValueType>> = { i: 'i32', l: 'i64', f: 'f32', d: 'f64', v: 'v128' }

/** An instruction without immediates: `op('f32x4.add', a, b)`. Operand types are checked here, where the mistake is. */
export function op(name: OpcodeName, ...operands: Instruction[]): Instruction {
  return build(name, operands, 0, 0)
}

/** A load of `name` from `address + offset`, the offset in bytes and constant. */
export function load(name: OpcodeName, address: Instruction, offset = 0): Instruction {
  return build(name, [address], offset, 0)
}

/** A store of `value` to `address + offset`. */
export function store(name: OpcodeName, address: Instruction, value: Instruction, offset = 0): Instruction {
  return build(name, [address, value], offset, 0)
}

/** An instruction with a lane immediate, and for lane loads and stores an offset. */
export function onLane(name: OpcodeName, lane: number, operands: readonly Instruction[], offset = 0): Instruction {
  return build(name, operands, offset, lane)
}

export function i32(value: number): Instruction {
  return { kind: 'const', type: 'i32', value: value | 0 }
}

export function f32(value: number): Instruction {
  return { kind: 'const', type: 'f32', value: Math.fround(value) }
}

/** Four equal f32 lanes. */
export function f32x4(value: number): Instruction {
  return {
    kind: 'v128.const',
    type: 'v128',
    bytes: new Uint8Array(new Float32Array(4).fill(value).buffer),
    text: `f32x4 ${Array(4).fill(floatText(value)).join(' ')}`,
  }
}

/** i32 lanes: one number for all four, or one each. */
export function i32x4(lanes: number | readonly [number, number, number, number]): Instruction {
  const values = typeof lanes === 'number' ? Array<number>(4).fill(lanes) : lanes
  return {
    kind: 'v128.const',
    type: 'v128',
    bytes: new Uint8Array(new Int32Array(values).buffer),
    text: `i32x4 ${values.join(' ')}`,
  }
}

/** Sixteen bytes. */
export function i8x16(lanes: readonly number[]): Instruction {
  return {
    kind: 'v128.const',
    type: 'v128',
    bytes: new Uint8Array(Int8Array.from(lanes).buffer),
    text: `i8x16 ${lanes.join(' ')}`,
  }
}

/** Two equal f64 lanes. */
export function f64x2(value: number): Instruction {
  return {
    kind: 'v128.const',
    type: 'v128',
    bytes: new Uint8Array(new Float64Array(2).fill(value).buffer),
    text: `f64x2 ${value} ${value}`,
  }
}

/** `i8x16.shuffle` given as four 32-bit lanes of the eight in `a` then `b`. */
export function shuffle32(
  a: Instruction,
  b: Instruction,
  lanes: readonly [number, number, number, number],
): Instruction {
  return {
    kind: 'shuffle',
    type: 'v128',
    lanes: lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
    operands: [a, b],
  }
}

/** `condition ? whenTrue : whenFalse` for a scalar condition; both sides are evaluated. */
export function select(whenTrue: Instruction, whenFalse: Instruction, condition: Instruction): Instruction {
  const type = whenTrue.type
  if (type === undefined || type !== whenFalse.type || condition.type !== 'i32')
    throw new TypeError(`select(): operands ${whenTrue.type}, ${whenFalse.type}, ${condition.type}`)
  return { kind: 'select', type, operands: [whenTrue, whenFalse, condition] }
}

export function get(local: Local): Instruction {
  return { kind: 'local.get', local, type: local.type }
}

export function set(local: Local, value: Instruction): Instruction {
  if (value.type !== local.type)
    throw new TypeError(`local.set(): ${local.name} is ${local.type}, the value is ${value.type}`)
  return { kind: 'local.set', local, value, type: undefined }
}

export function tee(local: Local, value: Instruction): Instruction {
  if (value.type !== local.type)
    throw new TypeError(`local.tee(): ${local.name} is ${local.type}, the value is ${value.type}`)
  return { kind: 'local.tee', local, value, type: local.type }
}

export function call(callee: FunctionReference, ...operands: Instruction[]): Instruction {
  const given = operands.map((operand) => operand.type).join(',')
  if (given !== callee.parameters.join(','))
    throw new TypeError(`call(): ${callee.name} takes (${callee.parameters.join(',')}), given (${given})`)
  return { kind: 'call', callee, operands, type: callee.result }
}

/** Branch to a label, when `condition` holds if one is given. */
export function branch(label: Label, condition?: Instruction): Instruction {
  return { kind: 'br', label, condition, type: undefined }
}

/** The text of a float in the WebAssembly text format. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return Object.is(value, -0) ? '-0' : `${Math.fround(value)}`
}

interface Signature {
  readonly operands: readonly (ValueType | undefined)[]
  readonly result: ValueType | undefined
}

const signatures: ReadonlyMap<string, Signature> = new Map(
  Object.entries(opcodes).map(([name, { signature }]) => {
    const [operands = '', result = ''] = signature.split('>')
    return [name, { operands: [...operands].map((letter) => letters[letter]), result: letters[result] }]
  }),
)

function build(name: OpcodeName, operands: readonly Instruction[], offset: number, lane: number): Instruction {
  const { operands: wanted, result } = signatures.get(name) as Signature
  let fits = operands.length === wanted.length
  for (let index = 0; index < operands.length; index++) fits &&= operands[index]?.type === wanted[index]
  if (!fits)
    throw new TypeError(
      `${name}(): takes (${wanted.join(', ')}), given (${operands.map((operand) => operand.type).join(', ')})`,
    )
  if (!(offset >= 0 && offset <= 0xffffffff)) throw new RangeError(`${name}(): offset ${offset}`)
  return { kind: 'op', op: name, operands, offset, lane, type: result }
}
