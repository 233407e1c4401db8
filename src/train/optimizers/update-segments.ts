import type { Device, Tensor } from '../../device/device.ts'
import {
  alignmentOf,
  colRange,
  defineProgram,
  load,
  longAxis,
  longAxisId,
  loop,
  type ProgramBuilder,
  store,
  type TensorParam,
  type Value,
  zeros,
} from '../../tile/index.ts'
import type { Parameter } from '../parameters.ts'
import { type StepValues, stepValues } from '../step-values.ts'
import type { ScratchTensor } from './optimizer.ts'
import { chunkCount, type Segments } from './segments.ts'

type Tensors = Readonly<Record<string, Tensor>>
type Values = Readonly<Record<string, Value>>

export interface SegmentUpdate {
  /** flat tensors, at the elements of the segments */
  readonly read?: Tensors
  readonly update?: Tensors
  readonly write?: Tensors
  /** tensors where the segments lie side by side */
  readonly packed?: { readonly read?: Tensors; readonly write?: Tensors }
  /** one number for each segment */
  readonly ofSegment?: Tensors // f32 [count] each
  /** sums over each segment, left in `scratch` under their names, see `sumScratch` */
  readonly sums?: readonly string[]
  readonly scratch?: Tensors
  readonly scalars?: Readonly<Record<string, number>>
  readonly step: Tensor // f32 [8], see stepFields
}

/** elements that a program computes at a time, and chunks that it adds at a time */
const [tile, sumTile] = [1024, 256]
const partialOf = (sum: string) => `${sum}Partial`

/** The scratch for sums over these parameters: `name` [parameters], and partial sums. */
export function sumScratch(parameters: readonly Parameter[], names: readonly string[]): Record<string, ScratchTensor> {
  const chunks = { shape: [chunkCount(parameters)] }
  return Object.fromEntries(
    names.flatMap((name) => [
      [name, { shape: [parameters.length] }],
      [partialOf(name), chunks],
    ]),
  )
}

/**
 * As `updateFlat`, over the elements of segments: `body` gives a value [1, tile] for each tensor of `update`, `write` and
 * `packed.write` and a term for each of `sums`, from those of `read`, `update`, `packed.read` and the scalars of `ofSegment`. One
 * kernel for the update and one for each sum. Throws what `Device.run` throws.
 */
export function updateSegments(
  device: Device,
  name: string,
  segments: Segments,
  request: SegmentUpdate,
  body: (values: Values, step: StepValues, scalars: Values) => Values,
): void {
  const { read = {}, update = {}, write = {}, packed = {}, ofSegment = {}, sums = [], scalars = {}, step } = request
  const partials: Tensors = Object.fromEntries(sums.map((sum) => [sum, request.scratch?.[partialOf(sum)] as Tensor]))
  const program = defineProgram(name, (p) => {
    const declare = (make: ProgramBuilder['input'], tensors: Tensors = {}) =>
      Object.entries(tensors).map(([key, tensor]): [string, TensorParam] => [
        key,
        make(key, tensor.dtype, [null], { alignment: alignmentOf(tensor) }),
      ])
    const [inputs, updates, outputs] = [declare(p.input, read), declare(p.update, update), declare(p.output, write)]
    const [packedInputs, packedOutputs] = [declare(p.input, packed.read), declare(p.output, packed.write)]
    const [numbers, sumOutputs] = [declare(p.input, ofSegment), declare(p.output, partials)]
    const now = stepValues(p.input('step', 'f32', [8]))
    const fixed = Object.fromEntries(Object.keys(scalars).map((key) => [key, p.scalar(key, 'f32')]))

    const table = p.input('table', 'i32', [null, 4])
    const chunk = longAxisId(p, 0, 1)
    const place = (column: number) => {
      const first = load(table, [chunk, column])
      return segments.quartered ? first.div(4).mul(4) : first
    }
    const [segment, from, count, packedFrom] = [load(table, [chunk, 0]), place(1), load(table, [chunk, 2]), place(3)]
    const ofThis = numbers.map(([key, tensor]) => [key, load(tensor, [segment])])

    const walk = (rounds: Value, step: number, begin: Values, start: (i: Value) => Value, tail: boolean) =>
      loop(
        { to: now.active.select(rounds, 0), step },
        begin,
        (i, carried, emit) => {
          const [at, packedAt] = [from, packedFrom].map((base) => [colRange(base.add(start(i)), tile)] as const)
          const where = colRange(start(i), tile).lt(count)
          const loaded = (params: typeof inputs, place: readonly [Value]) =>
            params.map(([key, param]) => [key, load(param, place)])
          const values = Object.fromEntries([
            ...loaded([...inputs, ...updates], at as readonly [Value]),
            ...loaded(packedInputs, packedAt as readonly [Value]),
            ...ofThis,
          ])
          const results = body(values, now, fixed)
          const options = tail ? { where } : {}
          for (const [key, param] of [...updates, ...outputs])
            emit(store(param, at as readonly [Value], results[key] as Value, options))
          for (const [key, param] of packedOutputs)
            emit(store(param, packedAt as readonly [Value], results[key] as Value, options))
          const term = (sum: string) => (tail ? where.select(results[sum] as Value, 0) : (results[sum] as Value))
          return Object.fromEntries(sums.map((sum) => [sum, (carried[sum] as Value).add(term(sum))]))
        },
        p.emit,
      )
    // whole tiles, then the rest under a condition
    const whole = count.div(tile).mul(tile)
    const none = Object.fromEntries(sums.map((sum) => [sum, zeros([1, tile])]))
    const most = walk(whole, tile, none, (i) => i, false)
    const all = walk(count.sub(whole).min(1), 1, most, () => whole, true)
    for (const [sum, output] of sumOutputs) p.emit(store(output, [chunk], (all[sum] as Value).rowSum()))
  })
  device.run(
    { program, grid: [...longAxis(segments.chunks), 1], scalars },
    {
      ...read,
      ...update,
      ...write,
      ...packed.read,
      ...packed.write,
      ...ofSegment,
      ...partials,
      step,
      table: segments.table,
    },
  )
  for (const sum of sums) sumChunks(device, segments, partials[sum] as Tensor, request.scratch?.[sum] as Tensor)
}

/** totals[s] = Σ partials[c] over the chunks c of segment s, in order. */
function sumChunks(device: Device, { starts, count }: Segments, partials: Tensor, totals: Tensor): void {
  const program = defineProgram('sum-chunks', (p) => {
    const first = p.input('starts', 'i32', [null])
    const from = p.input('partials', 'f32', [null])
    const to = p.output('totals', 'f32', [null])
    const segment = longAxisId(p, 0, 1)
    const begin = load(first, [segment])
    const chunks = load(first, [segment.add(1)]).sub(begin)
    const { acc } = loop({ to: chunks, step: sumTile }, { acc: zeros([1, sumTile]) }, (i, { acc }) => {
      const term = load(from, [colRange(begin.add(i), sumTile)])
      return { acc: acc.add(colRange(i, sumTile).lt(chunks).select(term, 0)) }
    })
    p.emit(store(to, [segment], acc.rowSum()))
  })
  device.run({ program, grid: [...longAxis(count), 1], scalars: {} }, { starts, partials, totals })
}
