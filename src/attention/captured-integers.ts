import type { Tensor } from '../device/device.ts'
import { contiguousStrides, FoveaError, type KnownTensor, rangeExtremes, type TensorParam } from '../tile/index.ts'
import { checkTensors } from './attention-request.ts'
import type { CallCache } from './call-cache.ts'

/** What the host knows of captured tensors, and whether it will still hold in the next call. */
export interface CapturedIntegers {
  readonly known: (tensor: TensorParam) => KnownTensor | null
  /** names the contents; null when they may change unseen */
  readonly key: string | null
  /** those that were read */
  readonly tensors: readonly Tensor[]
}

/**
 * Reads the integer tensors that a mask captures (document ids, lengths), once per change of their memory, so that blocks
 * can be classified by ranges. Throws `argument`, `device` and `disposed` in the name of `where`.
 */
export async function readCapturedIntegers(
  where: string,
  device: Tensor['device'],
  captured: readonly TensorParam[],
  cache: CallCache,
): Promise<CapturedIntegers> {
  const bySource = new Map<object, KnownTensor>()
  const tensors: Tensor[] = []
  let key: string | null = ''
  for (const param of captured) {
    const tensor = asTensor(where, param)
    checkTensors(where, device, { 'captured tensor': tensor })
    if (!['i32', 'u32', 'i8', 'u8'].includes(tensor.dtype) || tensor.size === 0) continue
    tensors.push(tensor)
    const { version } = tensor
    const kept = cache.known.get(tensor)
    if (kept && version !== null && kept.version === version) bySource.set(tensor, kept.tensor)
    else {
      const data = await tensor.read()
      const { shape } = tensor
      const spec = { dtype: tensor.dtype, shape, strides: contiguousStrides(shape), offset: 0 }
      const known = { shape, extremes: rangeExtremes({ spec, data }) }
      bySource.set(tensor, known)
      if (version !== null) cache.known.set(tensor, { version, tensor: known })
    }
    key = version === null || key === null ? null : `${key} ${cache.numberOf(tensor)}@${version}`
  }
  return { known: (param) => (param.source && bySource.get(param.source)) ?? null, key, tensors }
}

function asTensor(where: string, param: TensorParam): Tensor {
  const source = param.source as Partial<Tensor> | undefined
  if (!source?.device)
    throw new FoveaError('argument', where, `a hook read ${param.name}, which is not a tensor of a device`)
  return source as Tensor
}
