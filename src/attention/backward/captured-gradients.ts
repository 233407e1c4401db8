import type { Device, Tensor } from '../../device/device.ts'
import { FoveaError } from '../../tile/index.ts'
import { type Pass, runPass } from '../pass.ts'
import type { Sequence } from '../sequences.ts'
import {
  type BackwardParts,
  type BackwardTensors,
  type GivenParts,
  givenParts,
  programOf,
  sideSpec,
} from '../softmax/backward/backward-passes.ts'
import { transposedWork } from '../softmax/backward/transposed-work.ts'
import { joinWork, workWidth } from '../softmax/backward/work-table.ts'
import { flashWork, type WorkSpec } from '../softmax/work-list.ts'
import { collectProgram } from './collect-program.ts'
import { type Collection, planCollection } from './collection.ts'
import { clearProgram, pickScalars, regionRun } from './element-strips.ts'
import { gatherProgram } from './gather-program.ts'
import { type Chunk, chunksOf, orderedItems } from './pair-chunks.ts'
import type { CapturedLoad, ScoreGradient } from './score-gradient.ts'

// The gradient of a captured tensor is, for each element, the sum over all (batch, head, query, key) whose score read it. It is
// made in two steps without atomics: *gather* what each score gives to the elements it read, summed over keys (or queries) at
// once where the element does not depend on them; *collect* it, one program for some elements, in an order that never changes.
// Where an element depends on both, pairs are gathered a chunk of query rows at a time. Traffic beyond the backward's: two
// products of tiles per kind of gathering; memory: one number per row for each load, and the chunk.

/** What a chunk of pairs may take: it is written and read at once, so on a CPU it should stay in the caches. */
const chunkBytes = { interpret: 2 ** 22, wasm: 2 ** 22, webgpu: 2 ** 25 } as const

/** Gradients of the tensors of floats that a score function captured, with everything made ahead. */
export interface CapturedGradients {
  readonly tensors: readonly Tensor[]
  /**
   * Enqueues the gradients (f32, of the tensors' sizes) of some or all of `tensors`, replacing what they held; after the row terms
   * of the same backward, which read `captured` in place of some of `tensors`. Allocates nothing.
   */
  enqueue(
    tensors: BackwardTensors,
    dCaptured: ReadonlyMap<Tensor, Tensor>,
    captured?: ReadonlyMap<Tensor, Tensor>,
  ): void
}

/** `keep` is given what it holds. Null where a score function captures no floats. */
export function prepareCapturedGradients(
  device: Device,
  parts: BackwardParts,
  workSpec: Omit<WorkSpec, 'tileQ' | 'tileK'>,
  keep: (tensor: Tensor) => Tensor,
): CapturedGradients | null {
  const { scoreGradient } = parts
  if (!scoreGradient || scoreGradient.loads.length === 0) return null
  const { loads, symbols } = scoreGradient
  const plans = loads.map((load) => planCollection(load, symbols))
  const { batch, queries, keys, numHeads } = parts.call.shape
  const groups: Group[] = []
  for (const gathered of ['rows', 'columns', 'pairs'] as const) {
    const members = plans.flatMap((plan, at) => (plan.gathered === gathered ? [at] : []))
    if (members.length === 0) continue
    if (gathered === 'rows') {
      const sums = keep(device.empty([members.length, batch, numHeads, queries]))
      const { work, itemCount, headsPerItem } = parts.query
      groups.push({ gathered, members, sums, work, itemCount, headsPerItem })
    } else if (gathered === 'columns') {
      const sums = keep(device.empty([members.length, batch, numHeads, keys]))
      const { table, itemCount, headsPerItem } = transposedWork({ ...workSpec, ...parts.key.tiling, groupSize: 1 })
      groups.push({ gathered, members, sums, work: place(device, table, keep), itemCount, headsPerItem })
    } else {
      const list = flashWork({ ...workSpec, ...parts.query.tiling })
      const work = place(device, joinWork(orderedItems(list.items), list.runs, 3), keep)
      const budget = chunkBytes[device.kind] / (4 * members.length)
      const { chunks, size } = chunksOf(list, workSpec.sequences, numHeads, parts.query.tiling.tileQ, budget)
      groups.push({ gathered, members, sums: keep(device.empty([members.length, ...size])), work, chunks })
    }
  }
  const tensors = [...new Set(loads.map(({ tensor }) => tensor.source as Tensor))]
  const collector: Collector = { parts, scoreGradient, plans, sequences: workSpec.sequences }
  return {
    tensors,
    enqueue(given, dCaptured, captured) {
      check(tensors, dCaptured)
      for (const gradient of dCaptured.values()) for (const pass of clearPasses(parts, gradient)) runPass(device, pass)
      for (const group of groups) {
        const wanted = group.members.filter((at) => dCaptured.has(loads[at]?.tensor.source as Tensor))
        if (wanted.length > 0)
          for (const pass of passesOf(collector, group, wanted, given, dCaptured)) runPass(device, pass, captured)
      }
    },
  }
}

type Group = { readonly members: readonly number[]; readonly sums: Tensor; readonly work: Tensor } & (
  | { readonly gathered: 'rows' | 'columns'; readonly itemCount: number; readonly headsPerItem: number }
  | { readonly gathered: 'pairs'; readonly chunks: readonly Chunk[] }
)

interface Collector {
  readonly parts: BackwardParts
  readonly scoreGradient: ScoreGradient
  readonly plans: readonly Collection[]
  readonly sequences: readonly Sequence[]
}

function place(device: Device, table: Int32Array, keep: (tensor: Tensor) => Tensor): Tensor {
  return keep(device.tensor(table, [table.length / workWidth, workWidth]))
}

function* passesOf(
  collector: Collector,
  group: Group,
  wanted: readonly number[],
  tensors: BackwardTensors,
  dCaptured: ReadonlyMap<Tensor, Tensor>,
): Generator<Pass> {
  const { parts, scoreGradient, sequences } = collector
  const { numHeads } = parts.call.shape
  const given = givenParts(parts, tensors)
  const collectAll = (ranges: Ranges) =>
    wanted.flatMap((at) => {
      const load = scoreGradient.loads[at] as CapturedLoad
      const gradient = dCaptured.get(load.tensor.source as Tensor) as Tensor
      return collectPass(collector, at, group, ranges, gradient)
    })
  if (group.gathered !== 'pairs') {
    yield gatherPass(given, group, tensors, [group.itemCount, group.headsPerItem], { firstItem: 0 })
    for (const sequence of sequences) {
      const { qBase, kBase, qLength } = sequence
      const origin = { head: 0, q: -qBase, k: -kBase }
      yield* collectAll({ sequence, headFrom: 0, headTo: numHeads, qFrom: 0, qTo: qLength, origin })
    }
    return
  }
  for (const chunk of group.chunks) {
    const { sequence, headFrom, headTo, qFrom, qTo, itemCount, headsPerItem, firstItem, firstHead } = chunk
    yield* clearPasses(parts, group.sums)
    const scalars = { firstItem, firstHead, fromQ: qFrom, fromHead: headFrom }
    yield gatherPass(given, group, tensors, [itemCount, headsPerItem], scalars)
    const origin = { head: headFrom, q: qFrom, k: 0 }
    yield* collectAll({ sequence, headFrom, headTo, qFrom, qTo, origin })
  }
}

function gatherPass(
  given: GivenParts,
  { gathered, members, sums, work }: Group,
  { query, key, value, dOutput }: BackwardTensors,
  [itemCount, headsPerItem]: readonly [number, number],
  scalars: Readonly<Record<string, number>>,
): Pass {
  const { call, cache, rows } = given
  const bound = { query, key, value, dOutput }
  const { spec, kernelKey } = sideSpec(given, gathered === 'columns' ? given.key : given.query, bound)
  const program = programOf(cache, `gather ${gathered} ${kernelKey}`, () => gatherProgram(spec, gathered, members))
  const scales = { scale: call.scale, scaleLog2: call.scale * Math.LOG2E }
  return {
    kernel: { program, grid: [itemCount, headsPerItem, 1], scalars: { ...scales, ...scalars } },
    tensors: { ...bound, rows, work, gathered: sums },
  }
}

/** Where the unknowns of a collection run, and what number the first of each has in what was gathered. */
interface Ranges {
  readonly sequence: Sequence
  readonly headFrom: number
  readonly headTo: number
  readonly qFrom: number
  readonly qTo: number
  readonly origin: { readonly head: number; readonly q: number; readonly k: number }
}

function collectPass(
  { parts, scoreGradient, plans }: Collector,
  at: number,
  { gathered, members, sums }: Group,
  { sequence, headFrom, headTo, qFrom, qTo, origin }: Ranges,
  gradient: Tensor,
): Pass[] {
  const { cache, call } = parts
  const { batch, qLength, kLength } = sequence
  const load = scoreGradient.loads[at] as CapturedLoad
  const plan = plans[at] as Collection
  const program = programOf(cache, `collect ${gathered} ${at} ${call.score?.key}`, () =>
    collectProgram(load, plan, scoreGradient.symbols),
  )
  // where an index is simply the head, other heads' elements need not be visited
  const reach = { head: [headFrom, headTo], q: [qFrom, qTo], k: [0, kLength], batch: [batch, batch + 1] } as const
  const region = gradient.shape.map((size, dim) => {
    const name = plan.plain[dim]
    const [from, to] = name && name in reach ? reach[name as keyof typeof reach] : [0, size]
    return { from, count: Math.min(to, size) - from }
  })
  const run = regionRun(program, region, { inOrder: plan.triesLast })
  if (!run || qFrom >= qTo || kLength === 0) return []
  const scalars = {
    ...run.scalars,
    ...{ plane: members.indexOf(at), batch, qLength, kLength, row: call.packed ? 0 : batch },
    ...{ headFrom, headTo, qFrom, qTo, kFrom: 0, kTo: kLength },
    ...{ fromHead: origin.head, fromQ: origin.q, fromK: origin.k },
  }
  return [{ kernel: { ...run, scalars: pickScalars(program, scalars) }, tensors: { source: sums, gradient } }]
}

function clearPasses({ cache }: BackwardParts, gradient: Tensor): Pass[] {
  const rank = gradient.shape.length
  const program = programOf(cache, `clear ${rank}`, () => clearProgram(rank))
  const region = gradient.shape.map((count) => ({ from: 0, count }))
  const kernel = regionRun(program, region, { inOrder: rank === 0 })
  return kernel ? [{ kernel, tensors: { gradient } }] : []
}

function check(tensors: readonly Tensor[], dCaptured: ReadonlyMap<Tensor, Tensor>): void {
  const where = 'TrainableAttention.backward'
  for (const [tensor, gradient] of dCaptured) {
    if (!tensors.includes(tensor))
      throw new FoveaError('argument', where, 'dCaptured names a tensor of floats that scoreMod does not read')
    if (gradient.dtype !== 'f32')
      throw new FoveaError('dtype', where, `gradients of captured tensors must be f32, got ${gradient.dtype}`)
    if (gradient.shape.join() !== tensor.shape.join())
      throw new FoveaError(
        'shape',
        where,
        `the gradient of a captured tensor [${tensor.shape.join(', ')}] must be of its shape, got [${gradient.shape.join(', ')}]`,
      )
  }
}
