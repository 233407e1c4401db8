import {
  alignmentOf,
  colRange,
  defineProgram,
  type Kernel,
  load,
  loop,
  type Program,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
  type Value,
  zeros,
} from '../tile/index.ts'

/** What a normalisation's gradient is made of in a program: values of a few rows, 0 beyond their end. */
export interface NormRows {
  readonly x: Value // [tileN, tileD]
  /** dOutput times what the normalised rows were multiplied by */
  readonly g: Value // [tileN, tileD]
  /** columns of the row */
  readonly inside: Value // bool [1, tileD]
  /** mean of each row */
  mean(values: Value): Value // [tileN, tileD] → [tileN, 1]
  readonly eps: Value
}

/** From values of rows to dX and the normalised rows, 0 beyond their end, by which dOutput is multiplied for dWeight. */
export type NormGradient = (rows: NormRows) => { readonly dX: Value; readonly normalized: Value }

/** Everything of the backward of a normalisation but the data. */
export interface NormBackwardSpec {
  readonly name: string
  readonly gradient: NormGradient
  readonly x: TensorSpec // [batch, N, D]
  readonly weight: TensorSpec | null // [D]
  readonly dOutput: TensorSpec // [batch, N, D]
  readonly dX: TensorSpec // [batch, N, D]
  readonly accumulateX: boolean
  /** f32 [parts, groups, D]: sums of groups of rows for dWeight, dBias, as far as they are wanted */
  readonly partials: TensorSpec | null
  readonly sums: readonly ('weight' | 'bias')[]
  readonly eps: number
  readonly offset: number
  readonly tileN: number
}

/** most groups of rows, each of a program: enough for the largest GPUs, few enough to add up quickly */
const mostGroups = 512

/** So many groups are good for so many rows. */
export function rowGroups(rows: number): number {
  return Math.max(1, Math.min(mostGroups, Math.ceil(rows / 8)))
}

/** The kernel of the backward of a normalisation: dX, and sums over groups of rows. */
export function normBackwardKernel(spec: NormBackwardSpec): Kernel {
  const { x, partials, tileN, eps, offset } = spec
  const [batch, n, width] = x.shape as readonly [number, number, number]
  const rows = batch * n
  const groups = partials ? (partials.shape[1] as number) : rowGroups(rows)
  const run = Math.ceil(rows / groups / tileN) * tileN
  return {
    program: normBackwardProgram(spec),
    grid: [groups, rows === 0 || width === 0 ? 0 : 1, 1],
    scalars: { run, eps, offset },
  }
}

/**
 * One program owns a group of rows and walks over them, tileN whole rows at a time, adding up what they give to the weight's
 * gradient. Traffic: x, dOutput and dX once (dX twice where it is added to).
 */
function normBackwardProgram(spec: NormBackwardSpec): Program {
  const { tileN } = spec
  const [batch, , D] = spec.x.shape as readonly [number, number, number]
  const tileD = Math.ceil(D / 4) * 4
  return defineProgram(spec.name, (p) => {
    const rowsOf = (tensor: TensorSpec) =>
      [[batch === 1 ? 1 : null, null, D], { alignment: alignmentOf(tensor) }] as const
    const x = p.input('x', spec.x.dtype, ...rowsOf(spec.x))
    const weight = spec.weight && p.input('weight', spec.weight.dtype, [D])
    const dOutput = p.input('dOutput', spec.dOutput.dtype, ...rowsOf(spec.dOutput))
    const declare = spec.accumulateX ? p.update : p.output
    const dX = declare('dX', spec.dX.dtype, ...rowsOf(spec.dX))
    const partials = spec.partials && p.output('partials', 'f32', [null, null, D])
    const [run, eps, offset] = [p.scalar('run', 'i32'), p.scalar('eps', 'f32'), p.scalar('offset', 'f32')]

    const d = colRange(0, tileD) //                                                 [1, tileD]
    const inside = d.lt(D)
    const factor = weight ? load(weight, [d]).add(offset) : null //                 [1, tileD]
    const group = p.programId(0)
    const from = group.mul(run)
    const perBatch = sizeOf(x, 1)
    const to = from.add(run).min(perBatch.mul(sizeOf(x, 0)))
    const init = Object.fromEntries(spec.sums.map((name) => [name, zeros([tileN, tileD])]))
    const totals = loop(
      { from, to, step: tileN },
      init,
      (start, carried, emit) => {
        const flat = rowRange(start, tileN) //                                      [tileN, 1]
        const at = batch === 1 ? [0, flat, d] : [flat.div(perBatch), flat.mod(perBatch), d]
        const dY = load(dOutput, at).cast('f32') //                                 [tileN, tileD]
        const found = spec.gradient({
          x: load(x, at).cast('f32'),
          g: factor ? dY.mul(factor) : dY,
          inside,
          mean: (values) => values.rowSum().div(D),
          eps,
        })
        emit(store(dX, at, spec.accumulateX ? load(dX, at).cast('f32').add(found.dX) : found.dX))
        const terms = { weight: dY.mul(found.normalized), bias: dY }
        return Object.fromEntries(spec.sums.map((name) => [name, (carried[name] as Value).add(terms[name])]))
      },
      p.emit,
    )
    for (const [part, name] of spec.sums.entries())
      if (partials) p.emit(store(partials, [part, group, d], (totals[name] as Value).colSum()))
  })
}
