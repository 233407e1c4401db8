import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  defineProgram,
  FoveaError,
  load,
  longAxis,
  longAxisId,
  loop,
  type ProgramBuilder,
  scalar,
  sizeOf,
  store,
  type TensorParam,
  type Value,
} from '../tile/index.ts'
import { noStep, type StepValues, stepValues } from './step-values.ts'

type Tensors = Readonly<Record<string, Tensor>>
type Values = Readonly<Record<string, Value>>

export interface FlatUpdate {
  readonly read?: Tensors // [size] each
  readonly update?: Tensors
  readonly write?: Tensors
  /** numbers fixed when the kernel is enqueued, without being part of the program */
  readonly scalars?: Readonly<Record<string, number>>
  /** f32 [8], see stepFields; absent: nothing is skipped, and `body` is given zeros */
  readonly step?: Tensor
}

/** elements that a program owns, and computes at a time */
const [chunk, tile] = [8192, 1024]

/**
 * One kernel over flat tensors of one size: `body` gives a value for each tensor of `update` and `write` from those of `read`
 * and `update` (f32 [1, tile]) at the same place. Each element is read and written once; where skip ≠ 0 nothing is touched.
 * Throws `shape` unless all tensors are [size] alike, and what `Device.run` throws.
 */
export function updateFlat(
  device: Device,
  name: string,
  { read = {}, update = {}, write = {}, scalars = {}, step }: FlatUpdate,
  body: (values: Values, step: StepValues, scalars: Values) => Values,
): void {
  const tensors: Tensors = { ...read, ...update, ...write }
  const [size] = Object.values(tensors)[0]?.shape ?? [0]
  for (const [key, { shape }] of Object.entries(tensors))
    if (shape.length !== 1 || shape[0] !== size)
      throw new FoveaError(
        'shape',
        name,
        `tensors must be [size] alike, got ${key} [${shape.join(', ')}], size ${size}`,
      )
  const program = defineProgram(name, (p) => {
    const declare = (make: ProgramBuilder['input'], group: Tensors) =>
      Object.entries(group).map(([key, tensor]): [string, TensorParam] => [
        key,
        make(key, tensor.dtype, [null], { alignment: alignmentOf(tensor) }),
      ])
    const inputs = declare(p.input, read)
    const updates = declare(p.update, update)
    const outputs = declare(p.output, write)
    const now = step ? stepValues(p.input('step', 'f32', [8])) : noStep
    const numbers = Object.fromEntries(Object.keys(scalars).map((key) => [key, p.scalar(key, 'f32')]))
    const from = longAxisId(p, 0, 1).mul(chunk)
    const left = sizeOf((updates[0] ?? outputs[0])?.[1] as TensorParam, 0)
      .sub(from)
      .min(chunk)
    loop(
      { to: now.active.select(left, 0), step: tile },
      {},
      (i, _, emit) => {
        const at = [colRange(from.add(i), tile)] as const
        const values = Object.fromEntries(
          [...inputs, ...updates].map(([key, param]) => [key, load(param, at).cast('f32')]),
        )
        const results = body(values, now, numbers)
        for (const [key, param] of [...updates, ...outputs]) emit(store(param, at, results[key] as Value))
        return {}
      },
      p.emit,
    )
  })
  device.run(
    { program, grid: [...longAxis(Math.ceil((size as number) / chunk)), 1], scalars },
    { ...tensors, ...(step && { step }) },
  )
}

/** x = 0 */
export function clearFlat(device: Device, x: Tensor): void {
  updateFlat(device, 'clear', { write: { x } }, () => ({ x: scalar(0) }))
}
