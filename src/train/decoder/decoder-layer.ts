import type { LayerSpec } from '../../model/decoder-spec.ts'
import { activation, gated } from '../tape/activation.ts'
import { norm, type TapeNorm } from '../tape/norm.ts'
import { residual } from '../tape/residual.ts'
import type { TapeCore } from '../tape/tape-core.ts'
import type { Variable } from '../tape/variable.ts'

/** A linear layer on a tape: y = x · Wᵀ + b, and whatever adapters add to it. */
export type TapeLinear = (tape: TapeCore, x: Variable) => Variable

/** A layer of a decoder with its parameters. */
export interface DecoderLayer {
  readonly spec: LayerSpec
  readonly norms: { readonly [Name in keyof LayerSpec['norms']]: TapeNorm | null }
  /** to queries, keys and values side by side */
  readonly qkv: TapeLinear
  /** from these to what the heads attend to; h is what they were made from */
  readonly attention: (tape: TapeCore, qkv: Variable, h: Variable) => Variable
  readonly attentionOutput: TapeLinear
  /** to gate and up side by side when gated, else up */
  readonly up: TapeLinear
  readonly down: TapeLinear
}

/**
 * x + afterAttention(attention(beforeAttention(x))), then the same with the MLP: see `LayerSpec`. x stays the caller's; what
 * the way back does not need is released as soon as it was read.
 */
export function decoderLayer(tape: TapeCore, x: Variable, layer: DecoderLayer): Variable {
  const { norms, spec } = layer
  const attended = addTo(
    tape,
    x,
    norms.afterAttention,
    normalised(tape, norms.beforeAttention, x, (h) => {
      const qkv = layer.qkv(tape, h)
      return then(
        tape,
        then(tape, qkv, (qkv) => layer.attention(tape, qkv, h)),
        (o) => layer.attentionOutput(tape, o),
      )
    }),
  )
  // both sublayers of a parallel layer read what it was given
  const read = spec.parallel ? x : attended
  const mixed = normalised(tape, norms.beforeMlp, read, (h) => {
    const { activation: f, gated: isGated } = spec.mlp
    const inner = then(tape, layer.up(tape, h), (up) => (isGated ? gated(tape, up, f) : activation(tape, up, f)))
    return then(tape, inner, (inner) => layer.down(tape, inner))
  })
  const output = addTo(tape, attended, norms.afterMlp, mixed)
  tape.release(attended)
  return output
}

/** The next value; the one before is not read again. */
function then(tape: TapeCore, value: Variable, next: (value: Variable) => Variable): Variable {
  const result = next(value)
  tape.release(value)
  return result
}

/** body(norm(x)), or body(x) */
function normalised(tape: TapeCore, of: TapeNorm | null, x: Variable, body: (h: Variable) => Variable): Variable {
  return of ? then(tape, norm(tape, x, of), body) : body(x)
}

/** x + norm(y), or x + y */
function addTo(tape: TapeCore, x: Variable, of: TapeNorm | null, y: Variable): Variable {
  return residual(tape, x, of ? then(tape, y, (y) => norm(tape, y, of)) : y)
}
