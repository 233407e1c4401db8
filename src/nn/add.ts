import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import { runElementwise } from './elementwise.ts'

export interface AddOptions {
  readonly a: Tensor // [N, D] f32, f16 or bf16
  readonly b: Tensor // [N, D]
  readonly output: Tensor // [N, D]
}

/** output = a + b, in f32 before it is rounded; `accumulate` adds in place. Throws `shape`, `dtype`, and what `Device.run` throws. */
export function add(device: Device, options: AddOptions): void {
  checkFields('add', 'options', options, fields)
  const { a, b, output } = options
  runElementwise(device, {
    where: 'add',
    inputs: { a, b },
    outputs: { output },
    compute: ({ a, b }) => ({ output: a.add(b) }),
  })
}

const fields: FieldsOf<AddOptions> = { a: true, b: true, output: true }
