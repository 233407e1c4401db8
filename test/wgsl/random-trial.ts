import { FoveaError, type StorageDType } from '../../src/ir/index.ts'
import type { Tier, WgslKernel, WgslTuning } from '../../src/wgsl/lower-program.ts'
import { type ProgramSpace, randomProgram } from '../programs/random-program.ts'
import { compile, type Gpu, lowerFor, runKernel, runReference } from './kernel-runner.ts'
import type { Trial } from './trial.ts'

/** elements beyond the end of every tensor, which no store may touch */
const guards = 8

/** Workgroup memory to offer, in bytes: in the least that will do, operations share memory and dots go by slices. */
const memories = Array.from({ length: 36 }, (_, at) => Math.round(8 * 1.18 ** at) * 16).filter(
  (bytes) => bytes <= 16384,
)

const grids: readonly WgslTuning[] = [
  {},
  { threadRows: 16, threadCols: 8 },
  { slice: 8 },
  { threadRows: 8, threadCols: 8, slice: 8 },
  { threadRows: 4, threadCols: 16 },
  { threadRows: 32, threadCols: 2 },
  { threadRows: 16, threadCols: 16 },
]

const spaces: readonly ProgramSpace[] = [
  { rows: 12, cols: 19, storage: true, steps: 6, products: 35 },
  { rows: 33, cols: 33, storage: true, steps: 4, products: 35 },
  { rows: 33, cols: 17, storage: true, steps: 5, products: 35 },
]

/** in shares of the largest value: rounding on the way out may go either way */
const tolerances: Readonly<Record<StorageDType, number>> = {
  f32: 2e-4,
  f16: 2e-3,
  bf16: 1e-2,
  i32: 0,
  u32: 0,
  i8: 0,
  u8: 0,
}

type Tensors = Trial['tensors']

/** A random program, small enough for a software GPU; what no store writes must stay as it was, NaN or 77. */
export function randomTrial(seed: number): Trial {
  const { program, run } = randomProgram(seed, spaces[seed % spaces.length] as ProgramSpace)
  const tensors: Record<string, Tensors[string]> = {}
  for (const [name, { dtype, shape, strides = [], offset = 0, data }] of Object.entries(run.tensors)) {
    const length = offset + (shape[0] ?? 1) * (strides[0] ?? 1) + guards
    const empty = dtype.includes('f') ? Number.NaN : 77
    const values = Array.from({ length }, (_, at) => (data ? (data[at] ?? 0) : empty))
    tensors[name] = { values, shape, strides, offset }
  }
  const tuning = grids[seed % grids.length] as WgslTuning
  const { scalars = {}, grid = [1, 1, 1] } = run
  return { name: `random program ${seed}`, program, tensors, scalars, grid, tuning, tolerance: 0 }
}

/** The kernel of a trial in the least workgroup memory that it can do with; null when it needs more than any device offers. */
export function lowerTightly(gpu: Gpu, { program, tuning }: Trial, tier: Tier): WgslKernel | null {
  for (const bytes of memories)
    try {
      return lowerFor(gpu, program, tier, tuning, bytes)
    } catch (error) {
      if (!(error instanceof FoveaError && error.code === 'limit')) throw error
    }
  return null
}

/** The inputs in another order; outputs as they are. */
function shuffled({ program, tensors }: Trial): Tensors {
  const other: Record<string, Tensors[string]> = { ...tensors }
  for (const param of program.params) {
    const tensor = tensors[param.name]
    if (param.kind !== 'tensor' || param.access === 'write' || !tensor) continue
    const { values } = tensor
    other[param.name] = { ...tensor, values: values.map((_, at) => values[(at * 7 + 3) % values.length] as number) }
  }
  return other
}

/** Runs a kernel twice on each of two inputs; every difference from the interpreter, or between runs on the same input. */
export async function faultsOf(gpu: Gpu, trial: Trial, kernel: WgslKernel): Promise<string[]> {
  const { program, grid, scalars } = trial
  const pipeline = await compile(gpu.device, kernel)
  const faults: string[] = []
  for (const tensors of [trial.tensors, shuffled(trial)]) {
    const expected = runReference(program, grid, tensors, scalars)
    const first = await runKernel(gpu, program, kernel, grid, tensors, scalars, pipeline)
    const again = await runKernel(gpu, program, kernel, grid, tensors, scalars, pipeline)
    for (const { name, ...param } of program.params) {
      if (param.kind !== 'tensor' || param.access !== 'write') continue
      const wanted = expected[name] as number[]
      const scale = Math.max(1e-3, ...wanted.filter(Number.isFinite).map(Math.abs))
      for (const [at, value] of wanted.entries()) {
        const got = first[name]?.[at] as number
        const near = Math.abs(got - value) <= tolerances[param.dtype] * scale
        if (!Object.is(got, again[name]?.[at])) faults.push(`${name}[${at}] is ${got}, then ${again[name]?.[at]}`)
        else if (!(near || Object.is(got, value))) faults.push(`${name}[${at}] is ${got}, should be ${value}`)
      }
    }
  }
  return faults
}
