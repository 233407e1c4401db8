import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf } from '../tile/index.ts'
import { type AttentionOptions, attentionOptionFields } from './attention-request.ts'
import { prepareTraining } from './trainable-attention.ts'

/** What `attention` was given and gave, and the gradient of its output. */
export interface AttentionBackwardRequest extends AttentionOptions {
  readonly query: Tensor // [B, T, H, D]
  readonly key: Tensor // [B, S, Hkv, D]
  readonly value: Tensor // [B, S, Hkv, Dv]
  readonly sinks?: Tensor // f32 [H]
  readonly output: Tensor // [B, T, H, Dv]
  readonly lse: Tensor // f32 [B, H, T]
  readonly dOutput: Tensor // [B, T, H, Dv]
  /** gradient of lse; zero by default */
  readonly dLse?: Tensor // f32 [B, H, T]
}

/** Gradients in the dtype of query; of sinks f32. */
export interface AttentionGradients {
  readonly dQuery: Tensor
  readonly dKey: Tensor
  readonly dValue: Tensor
  readonly dSinks?: Tensor
  /** gradients, f32, of the tensors of floats that `scoreMod` captured */
  readonly dCaptured: ReadonlyMap<Tensor, Tensor>
}

/**
 * The gradients of one call of `attention`, from what it returned: scores are computed again, tile by tile, so that nothing
 * grows with tokens². For many calls of one size, `prepareTrainableAttention` decides everything once.
 *
 * Rejects with what `attention` rejects with, and `shape` and `dtype` for gradients that do not fit.
 */
export async function attentionBackward(
  device: Device,
  request: AttentionBackwardRequest,
): Promise<AttentionGradients> {
  checkFields('attentionBackward', 'request', request, fields)
  const { query, key, value, sinks, output, lse, dOutput, dLse } = request
  const prepared = await prepareTraining('attentionBackward', device, request, { forward: false })
  const made: Tensor[] = []
  const like = (tensor: Tensor, dtype = tensor.dtype): Tensor => {
    const gradient = device.empty(tensor.shape, dtype)
    made.push(gradient)
    return gradient
  }
  try {
    const gradients = {
      dQuery: like(query),
      dKey: like(key),
      dValue: like(value),
      ...(sinks && { dSinks: like(sinks) }),
      dCaptured: new Map(prepared.captured.map((tensor) => [tensor, like(tensor, 'f32')])),
    }
    prepared.backward({
      ...{ query, key, value, output, lse, dOutput, ...gradients },
      ...(sinks && { sinks }),
      ...(dLse && { dLse }),
    })
    return gradients
  } catch (error) {
    for (const tensor of made) tensor.dispose()
    throw error
  } finally {
    prepared.dispose()
  }
}

const fields: FieldsOf<AttentionBackwardRequest> = {
  query: true,
  key: true,
  value: true,
  sinks: true,
  output: true,
  lse: true,
  dOutput: true,
  dLse: true,
  ...attentionOptionFields,
}
