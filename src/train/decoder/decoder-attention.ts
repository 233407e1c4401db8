import type { Tensor } from '../../device/device.ts'
import type { AttentionSpec } from '../../model/decoder-spec.ts'
import type { PlacedRope } from '../../model/place-rope.ts'
import { applyRope } from '../../nn/rope.ts'
import type { AttentionKernel } from '../attention-kernel.ts'
import { type CapturedWeights, enqueueAttentionBackward, readInPlace } from '../tape/captured-weights.ts'
import { enqueueNorm, enqueueNormBackward, type TapeNorm } from '../tape/norm.ts'
import type { TapeCore } from '../tape/tape-core.ts'
import { isTrained } from '../tape/tape-weight.ts'
import type { Variable } from '../tape/variable.ts'

/** The attention of a layer, made ready for rows of one length. */
export interface DecoderAttention {
  readonly spec: AttentionSpec
  readonly batch: number
  readonly length: number
  readonly kernel: AttentionKernel
  readonly rope: PlacedRope | null
  readonly queryNorm: TapeNorm | null
  readonly keyNorm: TapeNorm | null
  readonly positions: Tensor // i32 [B · T]
  /** weights of its own that the kernel's score function reads */
  readonly captured: CapturedWeights
}

/**
 * Attention over what one linear layer gave: qkv [N, (H + 2 · Hkv) · D], queries first, then keys, then values; N = B · T.
 * Queries and keys are normalised and turned where the layer says so. Gives [N, H · D]. One operation, so that the three
 * gradients are written where the linear layer's backward reads them, and nothing is copied.
 */
export function attend(tape: TapeCore, qkv: Variable, of: DecoderAttention): Variable {
  const { workspace } = tape
  const { spec, batch, length, kernel, queryNorm, keyNorm, rope, captured } = of
  const { numHeads: H, numKvHeads: G, headDim: D } = spec
  const input = qkv.value
  const rows = batch * length
  const takeHeads = () => workspace.take([rows, (H + G) * D], qkv.dtype)
  const heads = headViews(tape, of)

  let queryKey = input
  if (queryNorm && keyNorm) {
    queryKey = takeHeads()
    enqueueNorm(tape, queryNorm, heads.forNorm(input, 0, H), heads.forNorm(queryKey, 0, H))
    enqueueNorm(tape, keyNorm, heads.forNorm(input, H, G), heads.forNorm(queryKey, H, G))
  }
  if (rope) {
    const turned = takeHeads()
    turn(tape, of, heads.flat(queryKey, 0, H + G), heads.flat(turned, 0, H + G), false)
    if (queryKey !== input) workspace.give(queryKey)
    queryKey = turned
  }
  const lse = workspace.take([batch, H, length])
  // weights of its own may be trained where nothing before it is
  const weights = [queryNorm, keyNorm].flatMap((norm) => (norm ? [norm.weight, norm.bias] : []))
  const trained = qkv.needsGradient || isTrained(...weights, ...captured.values())
  const y = tape.empty([rows, H * D], qkv.dtype, trained)
  const output = y.value
  const bound = () => ({
    query: heads.batched(queryKey, 0, H),
    key: heads.batched(queryKey, H, G),
    value: heads.batched(input, H + G, G),
    output: heads.batched(output, 0, H),
    lse,
  })
  kernel.forward(bound(), readInPlace(captured))

  return tape.note({
    output: y,
    keeps: [qkv, y],
    scratch: queryKey === input ? [lse] : [lse, queryKey],
    backward() {
      const dOutput = y.gradient?.tensor as Tensor
      const write = (dInput: Tensor) => {
        let dQueryKey = rope || queryNorm ? takeHeads() : dInput
        const gradients = {
          dOutput: heads.batched(dOutput, 0, H),
          dQuery: heads.batched(dQueryKey, 0, H),
          dKey: heads.batched(dQueryKey, H, G),
          dValue: heads.batched(dInput, H + G, G),
        }
        enqueueAttentionBackward(tape, kernel, { ...bound(), ...gradients }, captured)
        if (rope) {
          const target = queryNorm ? takeHeads() : dInput
          turn(tape, of, heads.flat(dQueryKey, 0, H + G), heads.flat(target, 0, H + G), true)
          workspace.give(dQueryKey)
          dQueryKey = target
        }
        if (queryNorm && keyNorm) {
          for (const [norm, from, count] of [
            [queryNorm, 0, H],
            [keyNorm, H, G],
          ] as const)
            enqueueNormBackward(tape, norm, {
              x: heads.forNorm(input, from, count),
              dOutput: heads.forNorm(dQueryKey, from, count),
              dX: heads.forNorm(dInput, from, count),
              add: false,
            })
          workspace.give(dQueryKey)
        }
      }
      if (qkv.needsGradient) tape.addGradient(qkv, write)
      else {
        const unused = tape.take(qkv.shape, qkv.dtype)
        write(unused.tensor)
        unused.drop()
      }
    },
  })
}

/** Looks at heads `from` … of a matrix [N, heads · D]. */
function headViews({ workspace }: TapeCore, { spec, batch, length }: DecoderAttention) {
  const { headDim: D, qkNorm } = spec
  const rows = batch * length
  const row = (tensor: Tensor) => tensor.strides[0] as number
  const flat = (tensor: Tensor, from: number, count: number) =>
    workspace.view(tensor, {
      shape: [rows, count, D],
      strides: [row(tensor), D, 1],
      offset: tensor.offset + from * D,
    })
  return {
    /** [N, count, D] */
    flat,
    /** [B, T, count, D] */
    batched: (tensor: Tensor, from: number, count: number) =>
      workspace.view(tensor, {
        shape: [batch, length, count, D],
        strides: [length * row(tensor), row(tensor), D, 1],
        offset: tensor.offset + from * D,
      }),
    /** as the layer normalises: each head by itself, or all as one row */
    forNorm: (tensor: Tensor, from: number, count: number) =>
      qkNorm?.over === 'all' ? workspace.columns(tensor, from * D, (from + count) * D) : flat(tensor, from, count),
  }
}

function turn(
  tape: TapeCore,
  { rope, positions }: DecoderAttention,
  x: Tensor,
  output: Tensor,
  inverse: boolean,
): void {
  if (!rope) return
  const { tables, interleaved } = rope
  applyRope(tape.device, { x, positions, tables, interleaved, inverse, output })
}
