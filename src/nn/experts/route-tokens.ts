import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type Kernel, type TensorSpec } from '../../tile/index.ts'
import { routeProgram } from './route-program.ts'
import { checkRouting, type RoutingSpec } from './routing-spec.ts'

export interface RouteTokensOptions {
  readonly logits: Tensor // [N, E] f32
  readonly routing: RoutingSpec
  /** added to scores when experts are chosen, not to their weights */
  readonly bias?: Tensor | null // [E] f32
  /** factor of each expert's weights */
  readonly expertScale?: Tensor | null // [E] f32
  /** the experts of each token, the best first */
  readonly chosen: Tensor // [N, K] i32
  readonly weights: Tensor // [N, K] f32
  /** `chosen` is read instead of written: another rule has chosen, scores only weigh (false) */
  readonly given?: boolean
}

/**
 * Chooses K of E experts for each token and weighs them: of the scores s(logits) + bias the K highest, of equal ones the
 * first; weights s / Σ s · scale · expertScale, see RoutingSpec. A program owns a token.
 *
 * Throws `shape`, `dtype`, `argument` (a routing that does not go with E experts), and what `Device.run` throws.
 */
export function routeTokens(device: Device, options: RouteTokensOptions): void {
  checkFields('routeTokens', 'options', options, fields)
  const { logits, chosen, weights, bias = null, expertScale = null } = options
  const kernel = routeTokensKernel(options)
  device.run(kernel, { logits, chosen, weights, ...(bias && { bias }), ...(expertScale && { expertScale }) })
}

/** The kernel of `routeTokens`. Throws `shape`, `dtype` and `argument`. */
export function routeTokensKernel(
  options: {
    readonly [K in keyof RouteTokensOptions]: RouteTokensOptions[K] extends Tensor ? TensorSpec : RouteTokensOptions[K]
  },
): Kernel {
  const { logits, chosen, weights, routing, bias = null, expertScale = null, given = false } = options
  const [tokens = 0, experts = 0] = logits.shape
  const named = { logits, chosen, weights, ...(bias && { bias }), ...(expertScale && { expertScale }) }
  const fail = (code: 'shape' | 'dtype', what: string) => {
    const got = Object.entries<TensorSpec>(named).map(([name, t]) => `${name} ${t.dtype} [${t.shape.join(', ')}]`)
    return new FoveaError(code, 'routeTokens', `${what}, got ${got.join(', ')}`)
  }
  if (logits.shape.length !== 2) throw fail('shape', 'logits must be [N, E]')
  checkRouting('routeTokens', routing, experts)
  const pairs = `${tokens},${routing.perToken}`
  if (chosen.shape.join() !== pairs || weights.shape.join() !== pairs)
    throw fail('shape', `chosen and weights must be [${tokens}, ${routing.perToken}]`)
  for (const vector of [bias, expertScale])
    if (vector && vector.shape.join() !== String(experts))
      throw fail('shape', `bias and expertScale must be [${experts}]`)
  for (const [name, { dtype }] of Object.entries<TensorSpec>(named))
    if (dtype !== (name === 'chosen' ? 'i32' : 'f32')) throw fail('dtype', 'chosen must be i32, all others f32')
  const { normalize = null, scale = 1, scores } = routing
  const program = routeProgram({ experts, routing, bias: bias !== null, expertScale: expertScale !== null, given })
  const floor =
    scores === 'softmaxOfChosen' ? 0 : normalize && ('plus' in normalize ? normalize.plus : normalize.atLeast)
  return { program, grid: [tokens, 1, 1], scalars: { scale, ...(floor !== null && { floor }) } }
}

const fields: FieldsOf<RouteTokensOptions> = {
  logits: true,
  routing: true,
  bias: true,
  expertScale: true,
  chosen: true,
  weights: true,
  given: true,
}
