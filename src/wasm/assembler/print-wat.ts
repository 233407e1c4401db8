import type { ModuleDefinition } from './encode-module.ts'
import type { FunctionDefinition } from './function-builder.ts'
import { floatText, type Instruction } from './instruction.ts'
import { type Opcode, opcodes } from './opcodes.ts'

/** The module in the WebAssembly text format: folded expressions, one statement a line. */
export function printWat(module: ModuleDefinition): string {
  const { memory, functions } = module
  const lines = [
    '(module',
    `  (import "env" "memory" (memory ${memory.minPages} ${memory.maxPages}${memory.shared ? ' shared' : ''}))`,
  ]
  for (const definition of functions) printFunction(definition, lines)
  return `${lines.join('\n')})\n`
}

function printFunction(definition: FunctionDefinition, lines: string[]): void {
  const { name, parameters, result, exported, locals, body } = definition
  const given = locals.slice(0, parameters.length).map((local) => ` (param $${local.name} ${local.type})`)
  lines.push(
    `  (func $${name}${exported ? ` (export "${name}")` : ''}${given.join('')}${result ? ` (result ${result})` : ''}`,
  )
  for (const local of locals.slice(parameters.length)) lines.push(`    (local $${local.name} ${local.type})`)
  printBody(body, '    ', lines)
  lines[lines.length - 1] += ')'
}

function printBody(body: readonly Instruction[], indent: string, lines: string[]): void {
  for (const instruction of body) {
    switch (instruction.kind) {
      case 'block':
      case 'loop':
        lines.push(`${indent}(${instruction.kind} $${instruction.label.name}`)
        printBody(instruction.body, `${indent}  `, lines)
        lines.push(`${indent})`)
        break
      case 'if':
        lines.push(`${indent}(if ${expression(instruction.condition)}`)
        lines.push(`${indent}  (then`)
        printBody(instruction.then, `${indent}    `, lines)
        lines.push(`${indent}  )`)
        if (instruction.else.length > 0) {
          lines.push(`${indent}  (else`)
          printBody(instruction.else, `${indent}    `, lines)
          lines.push(`${indent}  )`)
        }
        lines.push(`${indent})`)
        break
      case 'comment':
        lines.push(`${indent};; ${instruction.text}`)
        break
      default:
        lines.push(`${indent}${expression(instruction)}`)
    }
  }
}

function expression(instruction: Instruction): string {
  const list = (...parts: (string | number)[]) => `(${parts.filter((part) => part !== '').join(' ')})`
  const all = (operands: readonly Instruction[]) => operands.map(expression)
  switch (instruction.kind) {
    case 'op': {
      const opcode: Opcode = opcodes[instruction.op]
      const offset = instruction.offset === 0 ? '' : `offset=${instruction.offset}`
      const lane = opcode.immediate === 'lane' || opcode.immediate === 'memoryLane' ? instruction.lane : ''
      return list(instruction.op, offset, lane, ...all(instruction.operands))
    }
    case 'const':
      return list(
        `${instruction.type}.const`,
        instruction.type === 'f32' ? floatText(instruction.value) : instruction.value,
      )
    case 'v128.const':
      return list('v128.const', instruction.text)
    case 'shuffle':
      return list('i8x16.shuffle', ...instruction.lanes, ...all(instruction.operands))
    case 'select':
      return list('select', `(result ${instruction.type})`, ...all(instruction.operands))
    case 'local.get':
      return list('local.get', `$${instruction.local.name}`)
    case 'local.set':
    case 'local.tee':
      return list(instruction.kind, `$${instruction.local.name}`, expression(instruction.value))
    case 'call':
      return list('call', `$${instruction.callee.name}`, ...all(instruction.operands))
    case 'br':
      return list(
        instruction.condition ? 'br_if' : 'br',
        `$${instruction.label.name}`,
        instruction.condition ? expression(instruction.condition) : '',
      )
    default:
      throw new Error(`printWat(): ${instruction.kind} inside an expression`)
  }
}
