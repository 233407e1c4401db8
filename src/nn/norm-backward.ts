import type { Device, Tensor } from '../device/device.ts'
import { FoveaError, type TensorSpec } from '../tile/index.ts'
import { type NormGradient, normBackwardKernel, rowGroups } from './norm-backward-program.ts'
import { rowMatrices } from './row-matrices.ts'
import { sumRows } from './sum-rows.ts'
import { viewAs } from './view-as.ts'

/** What the backward of a normalisation reads and writes. */
export interface NormBackwardOptions {
  /** [..., D] of f32, f16 or bf16, as it went in; a view of heads [N, H, D] will do */
  readonly x: Tensor
  readonly weight?: Tensor // [D]
  /** as in the forward */
  readonly eps?: number
  /** as in the forward */
  readonly offset?: number
  readonly dOutput: Tensor // [..., D]
  /** replaced, or added to with `accumulateX`: the gradient of a residual stream */
  readonly dX: Tensor // [..., D]
  readonly accumulateX?: boolean
  readonly dWeight?: Tensor // f32 [D], added to
  /** f32, of the shape that the normalisation's function for it gives; only with gradients of weight or bias */
  readonly scratch?: Tensor
}

/** longest row that a program keeps */
const longestRow = 8192

/** Shape of the sums over groups of rows: one for each of dWeight and dBias. */
export function normBackwardScratch(parts: number, shape: readonly number[]): readonly [number, number, number] {
  return [parts, rowGroups(shape.slice(0, -1).reduce((a, b) => a * b, 1)), shape.at(-1) ?? 0]
}

/** Enqueues a kernel for dX and sums of groups of rows, and one for each of dWeight and dBias that adds the groups up in order. */
export function runNormBackward(
  device: Device,
  options: NormBackwardOptions & { readonly dBias?: Tensor; readonly eps: number },
  { where, name, gradient }: { readonly where: string; readonly name: string; readonly gradient: NormGradient },
): void {
  const { x, weight = null, dOutput, dX, dWeight, dBias, scratch } = options
  check(where, options)
  const views: Tensor[] = []
  const view = (tensor: Tensor, spec: Omit<TensorSpec, 'dtype'>) => {
    const made = viewAs(tensor, spec)
    views.push(made)
    return made
  }
  const outputs = [...(dWeight ? [['weight', dWeight] as const] : []), ...(dBias ? [['bias', dBias] as const] : [])]
  const partials = outputs.length > 0 && scratch ? scratch : null
  try {
    const tensors = [x, dOutput, dX]
    const [xRows, dRows, dXRows] = rowMatrices(where, tensors).map((spec, i) => view(tensors[i] as Tensor, spec))
    const bound = { x: xRows as Tensor, dOutput: dRows as Tensor, dX: dXRows as Tensor }
    const kernel = normBackwardKernel({
      name,
      gradient,
      ...bound,
      weight,
      accumulateX: options.accumulateX ?? false,
      partials,
      sums: outputs.map(([sum]) => sum),
      eps: options.eps,
      offset: options.offset ?? 0,
      tileN: rowsAtOnce(device.kind, x.shape),
    })
    device.run(kernel, { ...bound, ...(weight && { weight }), ...(partials && { partials }) })
    if (!partials) return
    const [step = 0, ...strides] = partials.strides
    for (const [at, [, output]] of outputs.entries()) {
      const sums = view(partials, { shape: partials.shape.slice(1), strides, offset: partials.offset + at * step })
      sumRows(device, { x: sums, output, accumulate: true })
    }
  } finally {
    for (const made of views) made.dispose()
  }
}

/** Rows of a tile: about a thousand elements, which is what a workgroup has invocations for; short rows on a CPU, too. */
function rowsAtOnce(kind: Device['kind'], shape: readonly number[]): number {
  const width = Math.max(4, Math.ceil((shape.at(-1) as number) / 4) * 4)
  return Math.min(16, 2 ** Math.floor(Math.log2(Math.max(1, (kind === 'webgpu' ? 1024 : 256) / width))))
}

function check(where: string, options: NormBackwardOptions & { readonly dBias?: Tensor }): void {
  const { x, weight, dOutput, dX, dWeight, dBias, scratch } = options
  const named = { x, weight, dOutput, dX, dWeight, dBias, scratch }
  const given = Object.entries(named).flatMap(([name, tensor]) => (tensor ? [{ name, tensor }] : []))
  const fail = (code: 'shape' | 'dtype' | 'unsupported', what: string) => {
    const got = given.map(({ name, tensor: { dtype, shape } }) => `${name} ${dtype} [${shape.join(', ')}]`)
    return new FoveaError(code, where, `${what}, got ${got.join(', ')}`)
  }
  const width = x.shape.at(-1) ?? 0
  if (width > longestRow) throw fail('unsupported', `rows of at most ${longestRow} go back`)
  if (new Set([x, dOutput, dX].map(({ shape }) => shape.join())).size > 1)
    throw fail('shape', 'x, dOutput and dX must have one shape')
  for (const vector of [weight, dWeight, dBias])
    if (vector && vector.shape.join() !== `${width}`)
      throw fail('shape', `weight, dWeight and dBias must be [${width}]`)
  const parts = (dWeight ? 1 : 0) + (dBias ? 1 : 0)
  const [givenParts, groups, length] = scratch?.shape ?? []
  if (parts > 0 && (scratch?.shape.length !== 3 || !(Number(givenParts) >= parts) || !groups || length !== width))
    throw fail('shape', `scratch must be [${parts}, groups, ${width}]`)
  for (const { name, tensor } of given) {
    const wide = ['dWeight', 'dBias', 'scratch'].includes(name)
    if (!(wide ? ['f32'] : ['f32', 'f16', 'bf16']).includes(tensor.dtype))
      throw fail('dtype', `${name} must be ${wide ? 'f32' : 'f32, f16 or bf16'}`)
  }
}
