import { ByteWriter } from './byte-writer.ts'
import type { FunctionDefinition } from './function-builder.ts'
import type { Instruction, Label, Local, ValueType } from './instruction.ts'
import { type Opcode, opcodes } from './opcodes.ts'

/** A module: functions over one imported memory `env.memory`. */
export interface ModuleDefinition {
  readonly functions: readonly FunctionDefinition[]
  readonly memory: { readonly shared: boolean; readonly minPages: number; readonly maxPages: number }
}

const typeCode: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b }

/** The binary form of a module, as `WebAssembly.Module` takes it. */
export function encodeModule(module: ModuleDefinition): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  writer.bytes(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00))
  const { functions, memory } = module
  section(writer, 1, functions.length, (content) => {
    for (const { parameters, result } of functions) {
      content.byte(0x60)
      content.unsigned(parameters.length)
      for (const type of parameters) content.byte(typeCode[type])
      content.unsigned(result ? 1 : 0)
      if (result) content.byte(typeCode[result])
    }
  })
  section(writer, 2, 1, (content) => {
    content.text('env')
    content.text('memory')
    content.byte(0x02)
    content.byte(memory.shared ? 0x03 : 0x01)
    content.unsigned(memory.minPages)
    content.unsigned(memory.maxPages)
  })
  section(writer, 3, functions.length, (content) => {
    for (const index of functions.keys()) content.unsigned(index)
  })
  const exported = [...functions.entries()].filter(([, definition]) => definition.exported)
  section(writer, 7, exported.length, (content) => {
    for (const [index, definition] of exported) {
      content.text(definition.name)
      content.byte(0x00)
      content.unsigned(index)
    }
  })
  const indices = new Map(functions.map((definition, index) => [definition.name, index]))
  section(writer, 10, functions.length, (content) => {
    for (const definition of functions) content.sized(encodeFunction(definition, indices))
  })
  return writer.finish()
}

function section(writer: ByteWriter, id: number, count: number, write: (content: ByteWriter) => void): void {
  const content = new ByteWriter()
  content.unsigned(count)
  write(content)
  writer.byte(id)
  writer.sized(content)
}

function encodeFunction(definition: FunctionDefinition, functions: ReadonlyMap<string, number>): ByteWriter {
  const writer = new ByteWriter()
  const own = definition.locals.slice(definition.parameters.length)
  const runs: { type: ValueType; count: number }[] = []
  for (const { type } of own) {
    const last = runs.at(-1)
    if (last?.type === type) last.count++
    else runs.push({ type, count: 1 })
  }
  writer.unsigned(runs.length)
  for (const { type, count } of runs) {
    writer.unsigned(count)
    writer.byte(typeCode[type])
  }
  const locals = new Map(definition.locals.map((local, index) => [local, index]))
  encodeBody(writer, definition.body, { locals, functions, labels: [] })
  writer.byte(0x0b)
  return writer
}

interface Scope {
  readonly locals: ReadonlyMap<Local, number>
  readonly functions: ReadonlyMap<string, number>
  /** Enclosing labels, outermost first; undefined for the unlabelled frame of an `if`. */
  readonly labels: (Label | undefined)[]
}

function encodeBody(writer: ByteWriter, body: readonly Instruction[], scope: Scope): void {
  for (const instruction of body) encodeInstruction(writer, instruction, scope)
}

function encodeInstruction(writer: ByteWriter, instruction: Instruction, scope: Scope): void {
  switch (instruction.kind) {
    case 'op': {
      for (const operand of instruction.operands) encodeInstruction(writer, operand, scope)
      const opcode: Opcode = opcodes[instruction.op]
      if (opcode.prefix !== 0) {
        writer.byte(opcode.prefix)
        writer.unsigned(opcode.code)
      } else writer.byte(opcode.code)
      if (opcode.immediate === 'memory' || opcode.immediate === 'memoryLane') {
        writer.unsigned(opcode.align)
        writer.unsigned(instruction.offset)
      }
      if (opcode.immediate === 'lane' || opcode.immediate === 'memoryLane') writer.byte(instruction.lane)
      return
    }
    case 'const':
      if (instruction.type === 'i32') {
        writer.byte(0x41)
        writer.signed(instruction.value)
      } else {
        writer.byte(0x43)
        writer.float(instruction.value)
      }
      return
    case 'v128.const':
      writer.byte(0xfd)
      writer.unsigned(12)
      writer.bytes(instruction.bytes)
      return
    case 'shuffle':
      encodeBody(writer, instruction.operands, scope)
      writer.byte(0xfd)
      writer.unsigned(13)
      for (const lane of instruction.lanes) writer.byte(lane)
      return
    case 'select':
      encodeBody(writer, instruction.operands, scope)
      writer.byte(0x1c)
      writer.unsigned(1)
      writer.byte(typeCode[instruction.type])
      return
    case 'local.get':
      writer.byte(0x20)
      writer.unsigned(found(scope.locals, instruction.local, instruction.local.name))
      return
    case 'local.set':
    case 'local.tee':
      encodeInstruction(writer, instruction.value, scope)
      writer.byte(instruction.kind === 'local.set' ? 0x21 : 0x22)
      writer.unsigned(found(scope.locals, instruction.local, instruction.local.name))
      return
    case 'call':
      encodeBody(writer, instruction.operands, scope)
      writer.byte(0x10)
      writer.unsigned(found(scope.functions, instruction.callee.name, instruction.callee.name))
      return
    case 'block':
    case 'loop':
      writer.byte(instruction.kind === 'block' ? 0x02 : 0x03)
      writer.byte(0x40)
      scope.labels.push(instruction.label)
      encodeBody(writer, instruction.body, scope)
      scope.labels.pop()
      writer.byte(0x0b)
      return
    case 'if':
      encodeInstruction(writer, instruction.condition, scope)
      writer.byte(0x04)
      writer.byte(0x40)
      scope.labels.push(undefined)
      encodeBody(writer, instruction.then, scope)
      if (instruction.else.length > 0) {
        writer.byte(0x05)
        encodeBody(writer, instruction.else, scope)
      }
      scope.labels.pop()
      writer.byte(0x0b)
      return
    case 'br': {
      if (instruction.condition) encodeInstruction(writer, instruction.condition, scope)
      writer.byte(instruction.condition ? 0x0d : 0x0c)
      const position = scope.labels.lastIndexOf(instruction.label)
      if (position < 0) throw new Error(`encodeModule(): branch to ${instruction.label.name} outside of it`)
      writer.unsigned(scope.labels.length - 1 - position)
      return
    }
    case 'comment':
      return
    default:
      instruction satisfies never
  }
}

function found<K>(map: ReadonlyMap<K, number>, key: K, name: string): number {
  const index = map.get(key)
  if (index === undefined) throw new Error(`encodeModule(): ${name} is not of this function or module`)
  return index
}
