import type { Tensor } from '../device/device.ts'
import { storageBytes } from '../ir/dtype.ts'
import { FoveaError } from '../ir/error.ts'
import type { TensorParam } from '../ir/node.ts'
import { algorithmCall, type CallRequest } from './algorithm-calls.ts'
import { type RecordedAs, type RecordedKernel, recordingDevice } from './recording-device.ts'

/** What a call does to memory, and the kernels it runs. Bytes. */
export interface RecordedCall {
  readonly kernels: readonly RecordedKernel[]
  readonly inputs: number
  /** results that the caller holds afterwards */
  readonly outputs: number
  /** kept by the device for the next call of the same kind: work lists */
  readonly kept: number
  /** allocated besides, and freed again: the most at one time */
  readonly temporary: number
  /** every tensor that a kernel is given, once per kernel */
  readonly read: number
  readonly written: number
}

/** Makes the call on a device that records it. Throws what the call throws, and `argument` for hooks where there are none. */
export async function recordCall(
  where: string,
  name: string,
  request: CallRequest,
  as: RecordedAs,
): Promise<RecordedCall> {
  const call = algorithmCall(where, name)
  if (!call.hooks && (request.maskMod || request.scoreMod))
    throw new FoveaError('argument', where, `${name} takes no masks and no score functions`)
  const { device, kernels } = recordingDevice(as)
  const run = call.prepare(device, request)
  const inputs = device.memory.allocated
  const results: unknown = await run()
  const { allocated, peak } = device.memory
  const outputs = resultTensors(results).reduce((sum, { size, dtype }) => sum + size * storageBytes[dtype], 0)
  const touched = (access: 'read' | 'write') =>
    kernels
      .flatMap(({ args }) => args)
      .reduce(
        (sum, arg) => (arg.kind === 'tensor' && accessed(arg.param, access) ? sum + arg.block.byteLength : sum),
        0,
      )
  return {
    kernels,
    inputs,
    outputs,
    kept: allocated - inputs - outputs,
    temporary: peak - allocated,
    read: touched('read'),
    written: touched('write'),
  }
}

function accessed({ access }: TensorParam, as: 'read' | 'write'): boolean {
  return access === as || access === 'readwrite'
}

/** A call returns a tensor, or an object of tensors. */
function resultTensors(results: unknown): Tensor[] {
  if (typeof results !== 'object' || results === null) return []
  return 'device' in results ? [results as Tensor] : (Object.values(results) as Tensor[])
}
