import type { Device } from '../../src/device/index.ts'
import { type GpuRow, measured, round } from '../gpu/gpu-row.ts'
import { interleavedTimes } from '../gpu/interleaved-times.ts'
import { captureStepParts } from '../llm/step-parts.ts'
import type { TrainCase } from './train-case.ts'
import { type TrainingRun, trainingRun } from './training-run.ts'

/** The largest relative difference between the losses of a device in f16 and of another in f32. */
export async function lossDifference(device: Device, other: Device, of: TrainCase): Promise<number> {
  const losses = async (on: Device, precision: 'f16' | 'f32') => {
    const run = await trainingRun(on, of, precision)
    const found: number[] = []
    for (let step = 0; step < of.steps; step++) found.push((await run.trainer.step()).loss)
    run.dispose()
    return found
  }
  const [narrow, wide] = [await losses(device, 'f16'), await losses(other, 'f32')]
  return narrow.reduce((most, loss, i) => {
    const difference = Math.abs(loss / (wide[i] as number) - 1)
    // what is no number stays none
    return Number.isNaN(difference) ? difference : Math.max(most, difference)
  }, 0)
}

/** Tokens a second of whole steps in f16, as a run does them: the next is enqueued before the last one's loss is read. */
export async function stepRows(device: Device, of: TrainCase): Promise<GpuRow[]> {
  let run: TrainingRun | undefined
  const parts = await captureStepParts(device, async () => {
    run = await trainingRun(device, of, 'f16')
  })
  const { trainer } = run as TrainingRun
  const steps = async (count: number) => {
    const losses: number[] = []
    let last: Promise<unknown> = Promise.resolve()
    for (let i = 0; i < count; i++) {
      const next = trainer.step().then(({ loss }) => void losses.push(loss))
      await last
      last = next
    }
    await last
    return losses
  }
  const first = await steps(4)
  const walls: number[] = []
  const hosts: number[] = []
  let final = Number.NaN
  for (let round = 0; round < 3; round++) {
    const [start, busy] = [performance.now(), process.cpuUsage()]
    const losses = await steps(of.steps)
    walls.push((performance.now() - start) / of.steps)
    const { user, system } = process.cpuUsage(busy)
    hosts.push((user + system) / 1000 / of.steps)
    final = losses.at(-1) as number
  }
  if (!(final < (first[0] as number))) throw new Error(`the loss did not fall: ${first[0]} at first, ${final} at last`)
  const timed = await device.time(async () => void (await steps(of.steps)))
  hosts.sort((a, b) => a - b)
  const tokens = of.batch * of.length
  const name = `${of.title}, ${of.batch} × ${of.length} tokens a step, AdamW, f16`
  walls.sort((a, b) => a - b)
  const [minMs = 0, medianMs = 0, maxMs = 0] = walls
  const { parameters, states, activations, other } = trainer.bytes
  const base = { system: 'fovea', version: '' } as const
  const rows: GpuRow[] = [
    {
      ...{ ...base, case: name, unit: 'tokens/s', rounds: walls.length, bar: { least: 250_000 } },
      rate: round((tokens / medianMs) * 1000),
      ...{ medianMs: round(medianMs), minMs: round(minMs), maxMs: round(maxMs) },
    },
    {
      ...{ ...base, case: `${name}: on the device's clock`, unit: 'ms', detail: true },
      rate: round(timed.nanoseconds / of.steps / 1e6),
    },
    {
      ...{ ...base, case: `${name}: time of the host's cores`, unit: 'ms', detail: true },
      rate: round(hosts[hosts.length >> 1] as number),
    },
    { ...base, case: `${name}: kernels`, unit: 'kernels', rate: trainer.kernels, detail: true },
    {
      ...{ ...base, case: `${name}: memory`, unit: 'MB', detail: true },
      rate: round((parameters + states + activations + other) / 1e6),
    },
  ]
  const times = await interleavedTimes(
    device,
    parts.map((part) => () => part.run()),
    { rounds: 3, fillMs: 8, warmMs: 500 },
  )
  const total = times.reduce((sum, { medianMs }) => sum + medianMs, 0)
  const byTime = parts.map((part, i) => ({ part, time: times[i] as (typeof times)[number] }))
  byTime.sort((a, b) => b.time.medianMs - a.time.medianMs)
  for (const { part, time } of byTime)
    rows.push({
      ...{ ...base, case: `${name}: ${part.name} × ${part.count}`, unit: 'ms', detail: true },
      ...measured(time, 1, 1),
      rate: round(time.medianMs),
      share: { value: round(time.medianMs / total), of: 'its kernels' },
    })
  rows.push({
    ...{ ...base, case: `${name}: all its kernels, one kind after the other`, unit: 'ms', detail: true },
    rate: round(total),
  })
  for (const part of parts) part.dispose()
  run?.dispose()
  return rows
}
