import { FoveaError } from '../ir/error.ts'
import type { Program } from '../ir/schedule.ts'
import { encodeModule, type ModuleDefinition } from './assembler/encode-module.ts'
import { FunctionBuilder, type FunctionDefinition } from './assembler/function-builder.ts'
import { branch, call, f32x4, get, i32, type Local, op, set, store } from './assembler/instruction.ts'
import { printWat } from './assembler/print-wat.ts'
import { emitOperations } from './emit/emit-region.ts'
import type { EmitScope } from './emit/emit-scope.ts'
import { type FrameLayout, KernelFrame, layoutFrame } from './emit/kernel-frame.ts'
import { assignSlots } from './plan/assign-slots.ts'
import { buildPlan } from './plan/build-plan.ts'
import { roundUp } from './plan/slot.ts'

export interface CompileOptions {
  /** use relaxed SIMD: fused multiply-add */
  readonly relaxed: boolean
  /** micro-kernels for an engine that joins pairs of vectors into 256-bit registers; default false */
  readonly wide?: boolean
}

/** A program as a WebAssembly module over an imported memory `env.memory`. */
export interface WasmKernel {
  readonly name: string
  /** the module for a shared memory */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** the module for a shared or an unshared memory */
  encode(shared: boolean): Uint8Array<ArrayBuffer>
  wat(): string
  /** bytes of scratch that each worker needs */
  readonly scratchBytes: number
  readonly frame: FrameLayout
}

const maxPages = 65536
/** scratch beyond this would live in main memory */
const maxScratchBytes = 8 * 1024 * 1024

/**
 * Compiles a program. The module exports `tile(arguments, scratch, x, y, z)`, one program of the grid, and
 * `run(arguments, scratch, counter, gridX, gridY, total)`, which takes programs by an atomic counter until none is left.
 * Throws `limit` when the values of a program do not fit in a worker's scratch.
 */
export function compileProgram(program: Program, options: CompileOptions): WasmKernel {
  const plan = buildPlan(program)
  const rowBytes = roundUp(longestRow(plan.uses.home.keys()) * 4 + 64, 64)
  const slots = assignSlots(plan, 2 * rowBytes)
  if (slots.bytes > maxScratchBytes)
    throw new FoveaError(
      'limit',
      'compileProgram',
      `${program.name} needs ${slots.bytes} bytes of scratch a worker, at most ${maxScratchBytes} are allowed: choose smaller tiles`,
    )
  const frame = layoutFrame(program.params)

  const f = new FunctionBuilder('tile', [
    ['arguments', 'i32'],
    ['scratch', 'i32'],
    ['x', 'i32'],
    ['y', 'i32'],
    ['z', 'i32'],
  ])
  const [address, scratch, x, y, z] = f.parameters as [Local, Local, Local, Local, Local]
  const scope: EmitScope = {
    f,
    plan,
    slots,
    frame: new KernelFrame(f, frame, address),
    relaxed: options.relaxed,
    wide: options.wide ?? false,
    scratch,
    programIds: [x, y, z],
    scalars: new Map(),
    zeroRow: { offset: 0 },
    spareRow: { offset: rowBytes },
  }
  const body = f.capture(() => emitOperations(scope, plan.operations))
  // called without scratch it does nothing: that is how an engine is made to optimise it before the first real tile
  f.when(get(scratch), () => {
    for (let offset = 0; offset < rowBytes; offset += 16) f.emit(store('v128.store', get(scratch), f32x4(0), offset))
    f.emit(...scope.frame.prologue, ...body)
  })
  const tile = f.finish(true)
  const module = (shared: boolean): ModuleDefinition => ({
    functions: [tile, runFunction(tile)],
    memory: { shared, minPages: 1, maxPages },
  })
  return {
    name: program.name,
    bytes: encodeModule(module(true)),
    encode: (shared) => encodeModule(module(shared)),
    wat: () => printWat(module(true)),
    scratchBytes: slots.bytes + 64,
    frame,
  }
}

function longestRow(nodes: Iterable<{ readonly rows: number; readonly cols: number }>): number {
  let longest = 4
  for (const { rows, cols } of nodes) longest = Math.max(longest, rows, cols)
  return longest
}

/** The loop of one worker: takes the number of the next program from the counter, x fastest. */
function runFunction(tile: FunctionDefinition): FunctionDefinition {
  const f = new FunctionBuilder('run', [
    ['arguments', 'i32'],
    ['scratch', 'i32'],
    ['counter', 'i32'],
    ['grid-x', 'i32'],
    ['grid-y', 'i32'],
    ['total', 'i32'],
  ])
  const [address, scratch, counter, gridX, gridY, total] = f.parameters as [Local, Local, Local, Local, Local, Local]
  const next = f.local('i32', 'next')
  const row = f.local('i32', 'row')
  f.loop('again', (again) => {
    f.emit(set(next, op('i32.atomic.rmw.add', get(counter), i32(1))))
    f.when(op('i32.lt_u', get(next), get(total)), () => {
      f.emit(set(row, op('i32.div_u', get(next), get(gridX))))
      f.emit(
        call(
          tile,
          get(address),
          get(scratch),
          op('i32.rem_u', get(next), get(gridX)),
          op('i32.rem_u', get(row), get(gridY)),
          op('i32.div_u', get(row), get(gridY)),
        ),
      )
      f.emit(branch(again))
    })
  })
  return f.finish(true)
}
