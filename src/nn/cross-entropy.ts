import type { Device, Tensor } from '../device/device.ts'
import { checkFields, type FieldsOf, FoveaError, type StorageDType, storageBytes } from '../tile/index.ts'
import { logitsGradientKernel } from './logits-gradient.ts'
import { matmul } from './matmul.ts'
import { matmulInParts, matmulParts } from './matmul-in-parts.ts'
import { sumRows } from './sum-rows.ts'

export interface CrossEntropyOptions {
  readonly hidden: Tensor // [N, C] f32, f16 or bf16
  readonly weight: Tensor // [V, C] f32, f16 or bf16
  readonly bias?: Tensor // [V]
  /** i32 [N]; a token with a target outside 0 … V − 1 (−1 is the one to use) has no loss and no gradient */
  readonly targets: Tensor
  /** logits count as c · tanh(logit / c) (none; Gemma 2, arXiv 2408.00118) */
  readonly softCap?: number | null
  readonly losses: Tensor // f32 [N]
  readonly lse: Tensor // f32 [N]
  /** i32 [N]: 1 where the target's logit is above all others */
  readonly correct?: Tensor
  /** f32 [1]: the gradient of every token's loss (loss scale / number of tokens); needed by each of the gradients below */
  readonly factor?: Tensor
  readonly dHidden?: Tensor // [N, C] f32, f16 or bf16
  readonly dWeight?: Tensor // f32 [V, C], added to
  readonly dBias?: Tensor // f32 [V], added to
  /** tensors of the shapes and dtypes that `crossEntropyScratch` gives */
  readonly scratch: CrossEntropyScratch<Tensor>
}

/** What a chunk of tokens needs. Rows of logits are a multiple of 8 long. */
export interface CrossEntropyScratch<T> {
  readonly logits: T // f32 [chunk, ≥ V]
  /** of the logits, where hidden is narrow: of f32 it takes their place */
  readonly gradient: T | null // [chunk, ≥ V], of hidden's dtype
  /** the sums of dHidden over parts of the vocabulary, where a chunk alone has too few tiles for the device */
  readonly partials?: T | null // f32 [parts, chunk, C]
}

export interface CrossEntropySizes {
  readonly tokens: number
  readonly vocabulary: number
  /** C, and the device that it is for: with them, dHidden is summed in parts where that keeps more cores busy */
  readonly width?: number
  readonly kind?: Device['kind']
  /** dtype of `hidden` */
  readonly dtype: StorageDType
  /** false: losses only (true) */
  readonly gradients?: boolean
  /** what the scratch may take (64 MB) */
  readonly maxBytes?: number
}

/** a program takes a row, and a grid at most 65,535 of them */
const mostTokens = 32_768

/**
 * Scratch of `crossEntropy`: as many tokens at a time as fit, in chunks of nearly equal size. Throws `argument` when not even
 * one token fits.
 */
export function crossEntropyScratch(
  sizes: CrossEntropySizes,
): CrossEntropyScratch<{ readonly shape: readonly number[]; readonly dtype: StorageDType }> {
  checkFields('crossEntropyScratch', 'sizes', sizes, crossEntropySizesFields)
  const { tokens, vocabulary, width: C, kind, dtype, gradients = true, maxBytes = 64e6 } = sizes
  const width = Math.ceil(vocabulary / 8) * 8
  const narrow = gradients && dtype !== 'f32'
  const bytes = width * (4 + (narrow ? storageBytes[dtype] : 0))
  const most = Math.min(mostTokens, Math.floor(maxBytes / bytes))
  if (most < 1)
    throw new FoveaError(
      'argument',
      'crossEntropy',
      `maxBytes must hold the ${bytes} of one token's logits, got ${maxBytes}`,
    )
  // tiles of products are filled by multiples of 32 tokens
  const fitting = most >= 32 ? Math.floor(most / 32) * 32 : most
  const even = Math.ceil(tokens / Math.ceil(tokens / fitting))
  const chunk = Math.min(fitting, most >= 32 ? Math.ceil(even / 32) * 32 : even)
  const shape = [chunk, width]
  const parts = gradients && kind && C ? matmulParts({ kind, M: chunk, N: C, K: vocabulary }) : 1
  const spare = Math.floor((maxBytes - chunk * bytes) / (4 * chunk * (C ?? 1)))
  return {
    logits: { shape, dtype: 'f32' },
    gradient: narrow ? { shape, dtype } : null,
    partials: Math.min(parts, spare) > 1 ? { shape: [Math.min(parts, spare), chunk, C ?? 0], dtype: 'f32' } : null,
  }
}

/**
 * Cross-entropy fused with the output projection: with x = hidden · weightᵀ + bias, or its soft cap,
 *
 *     losses[n] = lse[n] − x[n, targets[n]]        lse[n] = log Σ_v exp(x[n, v])
 *
 * and, where tensors for them are given, the gradients of factor · Σ_n losses[n]: `dHidden` (replaced), `dWeight` and `dBias`
 * (added to). Logits of [N, V] never exist: a chunk of tokens at a time is multiplied, its logits become their gradient in
 * one pass over each row, and two products take that further (compare Wijmans et al. 2024, Cut Your Losses, arXiv 2411.09009,
 * who recompute instead; here memory is bounded by the chunk). Nothing is allocated.
 *
 * Throws `shape`, `dtype`, `argument` (a soft cap that is not above 0, gradients without a factor), and what `Device.run` throws.
 */
export function crossEntropy(device: Device, options: CrossEntropyOptions): void {
  checkFields('crossEntropy', 'options', options, crossEntropyFields)
  check(options)
  const [tokens, chunk] = [options.hidden.shape[0] as number, options.scratch.logits.shape[0] as number]
  for (let from = 0; from < tokens; from += chunk) enqueueChunk(device, options, from, Math.min(tokens, from + chunk))
}

function enqueueChunk(device: Device, options: CrossEntropyOptions, from: number, to: number): void {
  const { weight, bias, scratch, factor, dHidden, dWeight, dBias, softCap = null } = options
  const views: Tensor[] = []
  const view = (made: Tensor) => {
    views.push(made)
    return made
  }
  const part = (x: Tensor) => view(x.slice(0, from, to))
  const area = (x: Tensor) =>
    view(x.view({ shape: [to - from, weight.shape[0] as number], strides: x.strides, offset: x.offset }))
  const packed = (x: Tensor) => view(x.view({ shape: x.shape.with(1, to - from), offset: x.offset }))
  try {
    const [hidden, logits] = [part(options.hidden), area(scratch.logits)]
    const rows = {
      targets: part(options.targets),
      losses: part(options.losses),
      lse: part(options.lse),
      ...(options.correct && { correct: part(options.correct) }),
    }
    const gradient = factor && (scratch.gradient ? area(scratch.gradient) : logits)
    const kernel = logitsGradientKernel({
      correct: null,
      ...rows,
      logits,
      gradient: !gradient ? 'none' : gradient === logits ? 'in place' : gradient,
      softCap,
      tileV: Math.min(2048, 2 ** Math.ceil(Math.log2(Math.max(64, weight.shape[0] as number)))),
    })
    matmul(device, { a: hidden, b: weight, transposeB: true, output: logits, ...(bias && { bias }) })
    device.run(kernel, {
      ...rows,
      logits,
      ...(factor && { factor }),
      ...(gradient && gradient !== logits && { gradient }),
    })
    if (!gradient) return
    if (dHidden) {
      const product = { a: gradient, b: weight, output: part(dHidden) }
      if (scratch.partials) matmulInParts(device, { ...product, partials: packed(scratch.partials) })
      else matmul(device, product)
    }
    if (dWeight) matmul(device, { a: gradient, b: hidden, transposeA: true, output: dWeight, accumulate: true })
    if (dBias) sumRows(device, { x: gradient, output: dBias, accumulate: true })
  } finally {
    for (const made of views) made.dispose()
  }
}

function check(options: CrossEntropyOptions): void {
  const { hidden, weight, scratch, factor, dHidden, dWeight, dBias } = options
  const fail = (code: 'shape' | 'dtype' | 'argument', what: string) =>
    new FoveaError(code, 'crossEntropy', `${what}, got hidden ${describe(hidden)}, weight ${describe(weight)}`)
  const [N = 0, C = 0] = hidden.shape
  const [V = 0] = weight.shape
  if (hidden.shape.length !== 2 || weight.shape.length !== 2 || weight.shape[1] !== C || V === 0)
    throw fail('shape', 'hidden must be [N, C], weight [V, C] with V ≥ 1')
  const expected = {
    bias: [V],
    targets: [N],
    losses: [N],
    lse: [N],
    correct: [N],
    factor: [1],
    dHidden: [N, C],
    dWeight: [V, C],
    dBias: [V],
  }
  for (const [name, shape] of Object.entries(expected) as [keyof typeof expected, number[]][]) {
    const tensor = options[name]
    if (tensor && tensor.shape.join() !== shape.join())
      throw fail('shape', `${name} must be [${shape.join(', ')}] and is ${describe(tensor)}`)
    const dtype = {
      targets: 'i32',
      correct: 'i32',
      losses: 'f32',
      lse: 'f32',
      factor: 'f32',
      dWeight: 'f32',
      dBias: 'f32',
    }
    const wanted = dtype[name as keyof typeof dtype]
    if (tensor && wanted && tensor.dtype !== wanted)
      throw fail('dtype', `${name} must be ${wanted} and is ${tensor.dtype}`)
  }
  if ((dHidden || dWeight || dBias) && !factor) throw fail('argument', 'gradients take a factor')
  const { logits, gradient, partials } = scratch
  if (partials && (partials.dtype !== 'f32' || partials.shape.slice(1).join() !== `${logits.shape[0]},${C}`))
    throw fail('shape', `partials must be f32 [parts, ${logits.shape[0]}, ${C}] and are ${describe(partials)}`)
  if (factor && hidden.dtype !== 'f32' && gradient?.dtype !== hidden.dtype)
    throw fail('dtype', `the gradient of logits must be ${hidden.dtype} and is ${gradient?.dtype ?? 'absent'}`)
  for (const tensor of [logits, ...(gradient ? [gradient] : [])])
    if (tensor.shape.length !== 2 || !tensor.shape[0] || (tensor.shape[1] as number) < V)
      throw fail('shape', `scratch must be [chunk, ≥ ${V}] and is ${describe(tensor)}`)
  if (logits.dtype !== 'f32') throw fail('dtype', `logits in scratch must be f32 and are ${logits.dtype}`)
}

function describe({ dtype, shape }: Tensor): string {
  return `${dtype} [${shape.join(', ')}]`
}

const crossEntropyFields: FieldsOf<CrossEntropyOptions> = {
  hidden: true,
  weight: true,
  bias: true,
  targets: true,
  softCap: true,
  losses: true,
  lse: true,
  correct: true,
  factor: true,
  dHidden: true,
  dWeight: true,
  dBias: true,
  scratch: true,
}

const crossEntropySizesFields: FieldsOf<CrossEntropySizes> = {
  tokens: true,
  vocabulary: true,
  width: true,
  kind: true,
  dtype: true,
  gradients: true,
  maxBytes: true,
}
