import type { Device, Tensor } from '../../device/device.ts'
import type { Parameter, ParameterGroup } from '../parameters.ts'

/** elements of a parameter that one program owns */
export const segmentChunk = 8192

/**
 * Parameters as segments of flat tensors, cut into chunks, one for each program of a kernel. A chunk never reaches into another
 * parameter, so that sums over parameters are taken in a fixed order: over each chunk, then over the chunks of each segment.
 */
export interface Segments {
  /** i32 [chunks, 4]: segment, first element of the flat tensor, count, first element where segments lie side by side */
  readonly table: Tensor
  /** i32 [count + 1]: first chunk of each segment */
  readonly starts: Tensor
  readonly count: number
  readonly chunks: number
  /** elements of all segments together */
  readonly size: number
  /** every first element is a multiple of four: a GPU reads four at a time */
  readonly quartered: boolean
}

/** How many chunks these parameters are cut into. */
export function chunkCount(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, parameter) => sum + Math.ceil(elementsOf(parameter) / segmentChunk), 0)
}

/** Makes the tables of parameters of one group. They live as long as the device. */
export function segmentsOf(device: Device, parameters: readonly Parameter[]): Segments {
  const rows: number[][] = []
  const starts = [0]
  let packed = 0
  for (const [segment, parameter] of parameters.entries()) {
    const size = elementsOf(parameter)
    for (let from = 0; from < size; from += segmentChunk)
      rows.push([segment, parameter.offset + from, Math.min(segmentChunk, size - from), packed + from])
    starts.push(rows.length)
    packed += size
  }
  return {
    table: device.tensor(rows.flat(), [rows.length, 4], 'i32'),
    starts: device.tensor(starts, [starts.length], 'i32'),
    count: parameters.length,
    chunks: rows.length,
    size: packed,
    quartered: rows.every((row) => (row[1] as number) % 4 === 0 && (row[3] as number) % 4 === 0),
  }
}

/** What is made of each group when it is first asked for. */
export function madeOnce<Made>(make: (device: Device, group: ParameterGroup) => Made) {
  const known = new WeakMap<ParameterGroup, Made>()
  return (device: Device, group: ParameterGroup): Made => {
    const made = known.get(group) ?? make(device, group)
    known.set(group, made)
    return made
  }
}

export function elementsOf({ shape }: Parameter): number {
  return shape.reduce((product, size) => product * size, 1)
}
