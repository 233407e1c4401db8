import type { Node } from '../ir/index.ts'
import type { DotNode } from '../ir/node.ts'
import type { MemoryRange } from './barriers.ts'
import { type DotPlan, type StagedOperand, stagedChunks } from './dot-plan.ts'
import { type Emission, writeBarrier } from './emission.ts'
import { emitStaging } from './emit-staging.ts'
import { slotPlace } from './place.ts'
import { renderWide } from './render-value.ts'
import type { TextWriter } from './text-writer.ts'
import { chunkCount, chunkWidth, forEachSlot, rowCount } from './thread-grid.ts'
import { component, literal, valueType } from './value-type.ts'
import type { MemoryRequest } from './workgroup-memory.ts'

export function dotMemory(plan: DotPlan): MemoryRequest {
  const part = (role: string, operand: StagedOperand) => ({
    role,
    type: operand.type,
    chunks: stagedChunks(operand),
    kept: operand.before !== null,
  })
  return { owner: plan.dot, parts: [part('a', plan.a), part('b', plan.b)] }
}

/** Stages an operand that is kept over a loop. */
export function emitKeptOperand(e: Emission, w: TextWriter, plan: DotPlan, side: 'a' | 'b'): void {
  const range = e.memory(plan.dot, side)
  e.barriers.write(range, writeBarrier(w))
  emitStaging(e, w, plan[side], range, { text: '0i', value: 0 }, plan.innerSize)
}

/**
 * acc = initial + a · b into variables named after `result`: operands pass through workgroup memory, slice by slice, and every
 * invocation multiplies its rows by its columns in registers, in the order of the inner dimension.
 */
export function emitDot(e: Emission, w: TextWriter, dot: DotNode, result: Node, initial: Node | null): void {
  const plan = e.dotPlan(dot)
  const type = valueType('f32', chunkWidth(dot))
  forEachSlot(e.grid, dot, (i, j) => {
    const start = initial
      ? renderWide(e, w, initial, slotPlace(e.grid, i, j), chunkWidth(dot))
      : `${type}(${literal(0, 'f32')})`
    w.line(`var ${e.register(result, i, j)}: ${type} = ${start};`)
  })
  const barrier = writeBarrier(w)
  const sides = ['a', 'b'] as const
  const ranges = { a: e.memory(dot, 'a'), b: e.memory(dot, 'b') }
  const isWhole = (side: 'a' | 'b') => plan[side].length === plan.innerSize
  const step = (start: { text: string; value: number | null }, count: number) => {
    for (const side of sides) {
      // what is whole is staged once, with the first slice
      if (plan[side].before || (isWhole(side) && start.value !== 0)) continue
      e.barriers.write(ranges[side], barrier)
      if (isWhole(side)) emitStaging(e, w, plan[side], ranges[side], { text: '0i', value: 0 }, plan.innerSize)
      else emitStaging(e, w, plan[side], ranges[side], start, count)
    }
    e.barriers.read([ranges.a, ranges.b], barrier)
    emitProduct(e, w, plan, result, ranges, start.text, start.value === 0, count)
  }
  const { innerSize, slice } = plan
  const rest = innerSize % slice
  const whole = innerSize - rest
  const loops = whole > 2 * slice && sides.every((side) => plan[side].source === 'virtual' || isWhole(side))
  if (!loops) {
    for (let start = 0; start < innerSize; start += slice)
      step({ text: `${start}i`, value: start }, Math.min(slice, innerSize - start))
    return
  }
  const apart = sides.some((side) => isWhole(side) && !plan[side].before)
  if (apart) step({ text: '0i', value: 0 }, slice)
  w.block(`for (var slice = ${apart ? slice : 0}i; slice < ${whole}i; slice += ${slice}i)`, () => {
    e.barriers.barrier(barrier)
    step({ text: 'slice', value: null }, slice)
  })
  if (rest) step({ text: `${whole}i`, value: whole }, rest)
}

/** Multiply-adds over `count` inner positions; operands held whole are read from `start` on. */
function emitProduct(
  e: Emission,
  w: TextWriter,
  plan: DotPlan,
  result: Node,
  ranges: { readonly a: MemoryRange; readonly b: MemoryRange },
  start: string,
  atStart: boolean,
  count: number,
): void {
  const steps = Math.floor(count / 4)
  w.block('', () => {
    const bases = {
      a: firstAddresses(e, w, plan, 'a', ranges.a, start, atStart),
      b: firstAddresses(e, w, plan, 'b', ranges.b, start, atStart),
    }
    if (steps > 0) {
      const unroll = steps % e.unroll === 0 ? e.unroll : 1
      const round = () => {
        for (let n = 0; n < unroll; n++)
          w.block('', () => emitStep(e, w, plan, result, ranges, bases, n ? `(k + ${n}i)` : 'k', 4))
      }
      w.block(`for (var k = 0i; k < ${steps}i; k += ${unroll}i)`, round)
    }
    if (count % 4) w.block('', () => emitStep(e, w, plan, result, ranges, bases, `${steps}i`, count % 4))
  })
}

/** Names of the addresses, in chunks, from which this invocation reads an operand: one per row, or one for all columns. */
function firstAddresses(
  e: Emission,
  w: TextWriter,
  plan: DotPlan,
  side: 'a' | 'b',
  range: MemoryRange,
  start: string,
  atStart: boolean,
): string[] {
  const operand = plan[side]
  const { dot } = plan
  const kept = operand.length === plan.innerSize && plan.slice < plan.innerSize && !atStart
  const offset = kept ? (operand.inner === 'cols' ? ` + ${start} / 4i` : ` + ${start} * ${operand.stride}i`) : ''
  if (side === 'a') {
    if (operand.inner === 'rows') return [w.share(`${range.from}i${offset}`, 'a')]
    return Array.from({ length: rowCount(e.grid, dot) }, (_, i) =>
      w.share(`${range.from}i + ${dot.rows === 1 ? '0i' : `row${i}`} * ${operand.stride}i${offset}`, 'a'),
    )
  }
  if (operand.inner === 'rows')
    return [w.share(`${range.from}i + ${dot.cols === 1 ? '0i' : 'thread_col'}${offset}`, 'b')]
  return [w.share(`${range.from}i + ${dot.cols === 1 ? '0i' : `thread_col * ${operand.stride}i`}${offset}`, 'b')]
}

/** One step: `live` (at most four) inner positions of step `k`. */
function emitStep(
  e: Emission,
  w: TextWriter,
  plan: DotPlan,
  result: Node,
  ranges: { readonly a: MemoryRange; readonly b: MemoryRange },
  bases: { readonly a: readonly string[]; readonly b: readonly string[] },
  k: string,
  live: number,
): void {
  const { dot, a, b } = plan
  const { grid } = e
  const rows = rowCount(grid, dot)
  const chunks = chunkCount(grid, dot)
  const width = chunkWidth(dot)
  const type = valueType('f32', width)
  const wide = (operand: StagedOperand, text: string) => (operand.type === 'f16' ? `vec4<f32>(${text})` : text)
  const left: string[][] = []
  for (let i = 0; i < rows; i++) {
    if (a.inner === 'cols') {
      const chunk = w.declare(wide(a, `${ranges.a.array}[${bases.a[i]} + ${k}]`), 'a')
      left.push(Array.from({ length: live }, (_, n) => component(chunk, n)))
    } else {
      const row = dot.rows === 1 ? '0i' : `row${i}`
      left.push(
        Array.from({ length: live }, (_, n) => {
          const line = `${ranges.a.array}[${bases.a[0]} + (4i * ${k} + ${n}i) * ${a.stride}i + (${row} >> 2u)][${row} & 3i]`
          return w.declare(a.type === 'f16' ? `f32(${line})` : line, 'a')
        }),
      )
    }
  }
  for (let j = 0; j < chunks; j++) {
    const right: string[] = []
    if (b.inner === 'rows') {
      for (let n = 0; n < live; n++) {
        const chunk = w.declare(
          wide(b, `${ranges.b.array}[${bases.b[0]} + (4i * ${k} + ${n}i) * ${b.stride}i + ${j * grid.cols}i]`),
          'b',
        )
        right.push(width === 1 ? component(chunk, 0) : chunk)
      }
    } else {
      const lines = Array.from({ length: width }, (_, c) => {
        const line = (b.permuted ? c * (b.lines / 4) : c) + j * grid.cols
        return w.declare(wide(b, `${ranges.b.array}[${bases.b[0]} + ${line * b.stride}i + ${k}]`), 'b')
      })
      for (let n = 0; n < live; n++)
        right.push(
          width === 1
            ? component(lines[0] as string, n)
            : `${type}(${lines.map((line) => component(line, n)).join(', ')})`,
        )
    }
    for (let n = 0; n < live; n++) {
      const column = w.share(right[n] as string, 'b')
      for (let i = 0; i < rows; i++) {
        const name = e.register(result, i, j)
        const factor = left[i]?.[n] as string
        w.line(`${name} = fma(${width === 4 ? `vec4<f32>(${factor})` : factor}, ${column}, ${name});`)
      }
    }
  }
}
