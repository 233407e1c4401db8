import type { Device } from '../../src/device/index.ts'
import { type GpuRow, measured, round } from '../gpu/gpu-row.ts'
import { interleavedTimes, type Times } from '../gpu/interleaved-times.ts'
import { decodeBytes, type GpuModelCase, prefillOperations } from './gpu-model.ts'
import { captureStepParts } from './step-parts.ts'
import type { SteppedSequence } from './stepped-sequence.ts'

const rounds = 3
/** a GPU that was left alone has dropped its clock, and takes half a second to raise it */
const warmMs = 700

/** Prefill of all tokens, in chunks of each size in turn, with no engine around it. */
export async function prefillRows(sequence: SteppedSequence, of: GpuModelCase): Promise<GpuRow[]> {
  const { device } = sequence.parts
  const tokens = promptOf(of)
  const prefill = async (chunk: number) => {
    sequence.truncate(0)
    const start = performance.now()
    sequence.prefill(tokens, chunk)
    await device.sync()
    return performance.now() - start
  }
  const times = of.chunks.map((): number[] => [])
  for (const chunk of of.chunks) await prefill(chunk)
  await warm(() => prefill(of.chunks.at(-1) as number))
  for (let round = 0; round < rounds; round++)
    for (const [i, chunk] of of.chunks.entries()) times[i]?.push(await prefill(chunk))
  const flops = prefillOperations(of)
  return of.chunks.map((chunk, i) => {
    const spread = spreadOf(times[i] as number[])
    return {
      case: `${of.title}: prefill of ${of.tokens} tokens, ${chunk} at a time (${round(flops / spread.medianMs / 1e9)} TFLOP/s)`,
      system: 'fovea',
      unit: 'tokens/s',
      ...measured(spread, of.tokens, 1),
    }
  })
}

/**
 * Steps of decode at the context that the sequence has, enqueued one after the other without waiting for their tokens; on the
 * clock of the wall and on that of the device, and what of it the host takes.
 */
export async function decodeStepRows(sequence: SteppedSequence, of: GpuModelCase, copied: number): Promise<GpuRow[]> {
  const { device, cache } = sequence.parts
  const context = sequence.length
  const walls: number[] = []
  const hosts: number[] = []
  const steps = async () => {
    sequence.truncate(context)
    sequence.step([1], true)
    await device.sync()
    const start = performance.now()
    for (let i = 0; i < of.decodeSteps; i++) sequence.step(null, true)
    const enqueued = performance.now()
    await device.sync()
    walls.push((performance.now() - start) / of.decodeSteps)
    hosts.push((enqueued - start) / of.decodeSteps)
  }
  await warm(steps)
  walls.length = 0
  hosts.length = 0
  for (let round = 0; round < 2 * rounds; round++) await steps()
  sequence.truncate(context)
  const onDevice: number[] = []
  for (let round = 0; round < rounds; round++) {
    sequence.truncate(context)
    const { nanoseconds, clock } = await device.time(() => {
      for (let i = 0; i < of.decodeSteps; i++) sequence.step(null, true)
    })
    if (clock === 'device') onDevice.push(nanoseconds / 1e6 / of.decodeSteps)
  }
  sequence.truncate(context)
  const bytes = decodeBytes(of, context + of.decodeSteps / 2, cache.format)
  const share = (ms: number) => ({ share: { value: round(bytes / ms / 1e6 / copied), of: 'the copy bandwidth' } })
  const name = `${of.title}: decode at ${context} tokens of context`
  const [wall, host] = [spreadOf(walls), spreadOf(hosts)]
  const rows: GpuRow[] = [
    {
      ...{ case: `${name}, steps enqueued ahead`, system: 'fovea', unit: 'tokens/s', bytes },
      ...measured(wall, 1, 1),
      ...share(wall.medianMs),
      bar: { least: 0.5 },
    },
    { case: `${name}, host time of a step`, system: 'fovea', unit: 'ms', ...inMs(host) },
  ]
  if (onDevice.length === 0) return rows
  const clock = spreadOf(onDevice)
  const onClock = { ...measured(clock, 1, 1), ...share(clock.medianMs), bytes }
  return [...rows, { case: `${name}, on the device's clock`, system: 'fovea', unit: 'tokens/s', ...onClock }]
}

/** What a step is made of: for each kind of kernel its time in a step and, for linear layers, the weight bytes a second. */
export async function stepPartRows(
  sequence: SteppedSequence,
  of: GpuModelCase,
  tokens: readonly number[],
): Promise<GpuRow[]> {
  const { device } = sequence.parts
  const context = sequence.length
  const parts = await captureStepParts(device, () => sequence.step(tokens, true, 'captured'))
  sequence.truncate(context)
  const times = await interleavedTimes(
    device,
    parts.map(({ run }) => run),
    { rounds: 5, fillMs: 20 },
  )
  const total = times.reduce((sum, { medianMs }) => sum + medianMs, 0)
  const step = `${of.title}: a step of ${tokens.length} at ${context}`
  const found = parts.map(({ name, count, rows, weightBytes }, i): GpuRow => {
    const time = times[i] as (typeof times)[number]
    const base = { case: `${step}: ${name} × ${count}`, system: 'fovea', detail: true } as const
    const value = round(time.medianMs / total)
    const share = { share: { value, of: 'its kernels' } }
    if (weightBytes === null) return { ...base, unit: 'ms', ...inMs(time), ...share }
    // two operations for each row and weight, which is two bytes
    if (rows > 16) return { ...base, unit: 'TFLOP/s', ...measured(time, rows * weightBytes, 1e12), ...share }
    return { ...base, unit: 'GB/s', ...measured(time, weightBytes, 1e9), ...share }
  })
  const kernels = parts.reduce((sum, { count }) => sum + count, 0)
  for (const part of parts) part.dispose()
  return [
    ...found,
    {
      case: `${step}: all its kernels, one kind after the other`,
      ...{ system: 'fovea', unit: 'ms', rate: round(total), detail: true },
    },
    { case: `${step}: kernels`, system: 'fovea', unit: 'kernels', rate: kernels, detail: true },
  ]
}

/** Numbers that stand for a prompt. */
export function promptOf({ tokens, shape }: GpuModelCase): number[] {
  return Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % shape.vocabSize)
}

/** What the rows of a device's model need to be near f32: f16 keeps 11 bits, and every layer rounds. */
export function logitBound(device: Device): number {
  return (device.info.tier ?? 0) >= 2 ? 2e-2 : 2e-5
}

async function warm(run: () => Promise<unknown>): Promise<void> {
  for (const begin = performance.now(); performance.now() - begin < warmMs; ) await run()
}

/** Times as a row's rate. */
function inMs(times: Times): Pick<GpuRow, 'rate' | 'medianMs' | 'minMs' | 'maxMs' | 'rounds'> {
  return { ...measured(times, 1, 1), rate: round(times.medianMs) }
}

function spreadOf(times: readonly number[]): Times {
  const sorted = times.toSorted((a, b) => a - b)
  return {
    medianMs: sorted[sorted.length >> 1] as number,
    minMs: sorted[0] as number,
    maxMs: sorted.at(-1) as number,
    rounds: sorted.length,
    clock: 'wall',
  }
}
