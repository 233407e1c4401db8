import { FoveaError } from '../tile/index.ts'
import type { AttentionShape } from './softmax/attention-shape.ts'

/** Where the queries and keys of one sequence lie in the tensors; `batch` counts sequences. */
export interface Sequence {
  readonly batch: number
  readonly qBase: number
  readonly qLength: number
  readonly kBase: number
  readonly kLength: number
}

/** One sequence per batch row, or, packed, those that the bounds name: sequence i holds tokens cu[i] … cu[i + 1] − 1. */
export function sequencesOf(
  where: string,
  shape: AttentionShape,
  cuSeqlensQ: ArrayLike<number> | null,
  cuSeqlensK: ArrayLike<number> | null,
): readonly Sequence[] {
  if (!cuSeqlensQ && !cuSeqlensK)
    return Array.from({ length: shape.batch }, (_, batch) => ({
      batch,
      qBase: 0,
      qLength: shape.queries,
      kBase: 0,
      kLength: shape.keys,
    }))
  const boundsQ = (cuSeqlensQ ?? cuSeqlensK) as ArrayLike<number>
  const boundsK = (cuSeqlensK ?? cuSeqlensQ) as ArrayLike<number>
  if (shape.batch !== 1)
    throw new FoveaError('shape', where, `packed sequences need a batch size of 1, got ${shape.batch}`)
  checkBounds(where, 'cuSeqlensQ', boundsQ, shape.queries)
  checkBounds(where, 'cuSeqlensK', boundsK, shape.keys)
  if (boundsQ.length !== boundsK.length)
    throw new FoveaError(
      'shape',
      where,
      `cuSeqlensQ and cuSeqlensK must be as long, got ${boundsQ.length} and ${boundsK.length}`,
    )
  return Array.from({ length: boundsQ.length - 1 }, (_, batch) => {
    const [qBase, kBase] = [boundsQ[batch] as number, boundsK[batch] as number]
    const [qEnd, kEnd] = [boundsQ[batch + 1] as number, boundsK[batch + 1] as number]
    return { batch, qBase, qLength: qEnd - qBase, kBase, kLength: kEnd - kBase }
  })
}

function checkBounds(where: string, name: string, bounds: ArrayLike<number>, tokens: number): void {
  const fail = (message: string): never => {
    const shown = Array.from(bounds).slice(0, 8).join(', ')
    const rest = bounds.length > 8 ? ', …' : ''
    throw new FoveaError('argument', where, `${name} ${message}, got [${shown}${rest}] for ${tokens} tokens`)
  }
  if (bounds.length < 1 || bounds[0] !== 0) fail('must start at 0')
  for (let i = 1; i < bounds.length; i++) {
    const [before, bound] = [bounds[i - 1] as number, bounds[i] as number]
    if (!Number.isInteger(bound)) fail('must hold integers')
    if (bound < before) fail(`must not decrease (at ${i})`)
    if (bound > tokens) fail(`must not pass the end of the tokens (at ${i})`)
  }
  if (bounds[bounds.length - 1] !== tokens) fail('must end at the number of tokens')
}
