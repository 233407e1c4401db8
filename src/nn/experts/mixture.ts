import type { Device, Tensor } from '../../device/device.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { Activation, GatedActivation } from '../activations.ts'
import { combineExperts } from './combine-experts.ts'
import { type RoutedRows, runExpertLinear } from './expert-linear.ts'
import { type MixtureBufferName, type MixtureMethod, mixtureBufferSpecs, mixtureMethod } from './mixture-plan.ts'
import type { ExpertWeight } from './place-experts.ts'
import { listLength, sortPairs, tileCount } from './sort-pairs.ts'

export interface MixtureOptions {
  readonly x: Tensor // [N, C] f32, f16 or bf16
  /** the experts of each token, as `routeTokens` writes them; those that `up` does not have are passed over */
  readonly chosen: Tensor // [N, K] i32
  readonly weights: Tensor // [N, K] f32
  /** what weights multiply: what experts make (`output`), or what they are given (Llama 4) */
  readonly weigh?: 'output' | 'input'
  /** each expert's [gate, up] (gated) or one matrix, [I, C] each */
  readonly up: ExpertWeight
  readonly down: ExpertWeight // [C, I] each
  readonly gated: boolean
  /** of the gate, or of the only product */
  readonly activation: Activation
  /** of gated experts in place of activation(gate) · up: any function of both products, biases added */
  readonly combine?: GatedActivation | null | undefined
  /** at least what `mixtureBufferSpecs` says for N tokens, flat and each memory of its own */
  readonly buffers: Readonly<Record<Exclude<MixtureBufferName, 'chosen' | 'weights'>, Tensor>>
  readonly output: Tensor // [N, C]
  /** add to what `output` holds (false) */
  readonly accumulate?: boolean
  /** how pairs meet experts; what suits N by default */
  readonly method?: MixtureMethod
}

/**
 * output[n] (+)= Σ over the experts e chosen for token n of w[n, e] · down_e(activation(gate_e(x[n])) · up_e(x[n])) (Shazeer et al.
 * 2017, arXiv 1701.06538; Mixtral, arXiv 2401.04088), not gated: down_e(activation(up_e(x[n]))). Few tokens read the experts
 * chosen for each; of more, tokens are sorted by expert on the device, and tiles of them meet one expert each. Nothing is read
 * back: grids depend on N, K and the number of experts alone. Every token gets all of its experts; none is ever dropped.
 *
 * Throws `shape`, `dtype`, `disposed`, `device`, `argument`, and what `Device.run` throws.
 */
export function mixture(device: Device, options: MixtureOptions): void {
  checkFields('mixture', 'options', options, fields)
  check(options)
  const { x, chosen, weights, up, down, gated, combine = null, buffers, output, accumulate = false } = options
  const activation = gated && combine ? null : options.activation
  const [tokens, perToken] = chosen.shape as readonly [number, number]
  if (tokens === 0) return
  const pairs = tokens * perToken
  const sizes = { tokens, perToken, experts: up.experts }
  const method = options.method ?? mixtureMethod(device.kind, sizes)
  const inputs = options.weigh === 'input'
  const views: Tensor[] = []
  const view = (tensor: Tensor, shape: readonly number[]) => {
    const made = tensor.view({ shape, offset: tensor.offset })
    views.push(made)
    return made
  }
  const call = { where: 'mixture', perToken }
  try {
    const pairChosen = view(chosen, [pairs])
    const pairWeights = view(weights, [pairs])
    const inner = view(buffers.inner, [pairs, down.inFeatures])
    const first = {
      ...call,
      x,
      weight: up,
      gated,
      activation,
      combine: gated ? combine : null,
      output: inner,
      accumulate: false,
    }
    const second = { ...call, x: inner, weight: down, gated: false, activation: null, combine: null }
    if (method.kind === 'pairs') {
      const rows: RoutedRows = {
        kind: 'pairs',
        chosen: pairChosen,
        weights: inputs ? pairWeights : null,
        xByToken: true,
      }
      runExpertLinear(device, { ...first, rows })
      const slots: RoutedRows = { kind: 'slots', chosen: pairChosen, weights: inputs ? null : pairWeights }
      runExpertLinear(device, { ...second, rows: slots, output, accumulate })
      return
    }
    const { tileM } = method
    const tiles = tileCount(pairs, up.experts, tileM)
    const list = view(buffers.list, [listLength(pairs, up.experts, tileM)])
    const position = view(buffers.position, [pairs])
    sortPairs(device, { chosen: pairChosen, experts: up.experts, tileM, position, list })
    const sorted = { kind: 'tiles', list, tiles, tileM } as const
    runExpertLinear(device, { ...first, rows: { ...sorted, weights: inputs ? pairWeights : null, xByToken: true } })
    const outer = view(buffers.outer, [pairs, down.outFeatures])
    const rows: RoutedRows = { ...sorted, weights: null, xByToken: false }
    runExpertLinear(device, { ...second, rows, output: outer, accumulate: false })
    combineExperts(device, { x: outer, position, weights: inputs ? null : pairWeights, output, accumulate })
  } finally {
    for (const made of views) made.dispose()
  }
}

function check({ x, chosen, weights, weigh, up, down, gated, buffers, output, method }: MixtureOptions): void {
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) => {
    const got = Object.entries({ x, chosen, weights, output }).map(
      ([name, t]) => `${name} ${t.dtype} [${t.shape.join(', ')}]`,
    )
    const experts = [up, down].map((w) => `${w.experts} × [${w.parts.join(' + ')}, ${w.inFeatures}]`)
    return new FoveaError(code, 'mixture', `${what}, got ${got.join(', ')}, up ${experts[0]}, down ${experts[1]}`)
  }
  if (weigh !== undefined && weigh !== 'output' && weigh !== 'input')
    throw fail('argument', `weigh is 'output' or 'input', not ${JSON.stringify(weigh)}`)
  const [tokens, perToken = 0] = chosen.shape
  if (chosen.shape.length !== 2 || perToken === 0 || weights.shape.join() !== chosen.shape.join())
    throw fail('shape', 'chosen and weights must be [N, K]')
  if (chosen.dtype !== 'i32' || weights.dtype !== 'f32') throw fail('dtype', 'chosen must be i32 and weights f32')
  for (const { strides } of [chosen, weights])
    if (strides[1] !== 1 || strides[0] !== perToken) throw fail('shape', 'chosen and weights must be contiguous')
  if (x.shape.length !== 2 || output.shape.join() !== x.shape.join() || x.shape[0] !== tokens)
    throw fail('shape', 'x and output must be [N, C]')
  if (up.experts !== down.experts) throw fail('shape', 'up and down must have as many experts')
  if (up.inFeatures !== x.shape[1] || down.outFeatures !== x.shape[1])
    throw fail('shape', `experts must read and write ${x.shape[1]} features`)
  if (down.parts.length !== 1 || up.parts.length !== (gated ? 2 : 1) || up.parts.some((n) => n !== down.inFeatures))
    throw fail('shape', `up must be ${gated ? '[gate, up]' : 'one matrix'} of what down reads`)
  if (method && (method.kind === 'tiles') !== 'tileM' in method)
    throw fail('argument', `method is { pairs } or { tiles, tileM }, not ${JSON.stringify(method)}`)
  const sizes = {
    tokens: tokens as number,
    perToken,
    experts: up.experts,
    inner: down.inFeatures,
    hidden: down.outFeatures,
  }
  const needed = mixtureBufferSpecs(up.device.kind, sizes, buffers.inner.dtype, method)
  for (const [name, tensor] of Object.entries(buffers)) {
    const { elements, dtype } = needed[name as MixtureBufferName]
    if (tensor.shape.length !== 1 || tensor.size < elements || (dtype === 'i32' && tensor.dtype !== 'i32'))
      throw fail(
        'argument',
        `buffer ${name} must be ${dtype} [${elements}] or more, not ${tensor.dtype} [${tensor.shape.join(', ')}]`,
      )
  }
}

const fields: FieldsOf<MixtureOptions> = {
  x: true,
  chosen: true,
  weights: true,
  weigh: true,
  up: true,
  down: true,
  gated: true,
  activation: true,
  combine: true,
  buffers: true,
  output: true,
  accumulate: true,
  method: true,
}
