import type { Device, Tensor } from '../device/device.ts'
import type { Tiling } from '../device/tuning.ts'
import { FoveaError, type Node, readIntervals } from '../tile/index.ts'
import { type AttentionPlanRequest, checkRequest } from './attention-request.ts'
import { type BlockPattern, readBlockMask } from './block-mask.ts'
import type { CallCache } from './call-cache.ts'
import { readCapturedIntegers } from './captured-integers.ts'
import type { Dropout } from './dropout.ts'
import type { MaskMod } from './hooks.ts'
import type { Normalizer } from './normalizers/normalizer.ts'
import { softmax } from './normalizers/softmax.ts'
import { type Sequence, sequencesOf } from './sequences.ts'
import type { AttentionShape } from './softmax/attention-shape.ts'
import { splitKvWork } from './softmax/split-kv-work.ts'
import { flashWork, type WorkList, type WorkSpec } from './softmax/work-list.ts'
import { positionNames, type TracedHook, traceMask, traceScore } from './traced-mask.ts'

/** A call, checked and decided: everything that is known before anything is allocated. */
export interface PreparedCall {
  readonly shape: AttentionShape
  readonly packed: boolean
  readonly sequences: readonly Sequence[]
  readonly algorithm: 'flash' | 'split-kv'
  readonly tiling: Tiling
  readonly normalizer: Normalizer
  readonly scale: number
  readonly mask: TracedHook | null
  readonly score: TracedHook | null
  readonly dropout: Dropout | null
  readonly pattern: BlockPattern | null
  /** whether the kernel must ask the pattern, because its blocks are no multiples of the tiles */
  readonly asksPattern: boolean
  /** split-kv: states per query; 1 otherwise */
  readonly splits: number
  /** equal for calls with equal work lists; null when they cannot be compared */
  readonly workKey: string | null
  /** tensors that its kernels read besides their arguments */
  /** captured integer tensors that the block structure was read from */
  readonly read: readonly Tensor[]
  readonly captured: readonly { readonly source?: object }[]
  /** what work lists are made of, for tiles of any size */
  workSpec(): Omit<WorkSpec, 'tileQ' | 'tileK'>
  work(): WorkList
}

/** What a caller of `prepareCall` decides for it. */
export interface CallChoices {
  /** calls of these lengths will follow: tiles may suit them */
  readonly lasting?: boolean
  readonly algorithm?: 'flash'
  /** captured integer tensors whose contents the block structure must not depend on */
  readonly changing?: readonly object[]
}

/** Throws what `attention` documents, in the name of `where`. */
export async function prepareCall(
  where: string,
  device: Device,
  request: AttentionPlanRequest,
  cache: CallCache,
  choices: CallChoices = {},
): Promise<PreparedCall> {
  if (device.disposed) throw new FoveaError('disposed', where, `the ${device.kind} device was disposed`)
  const shape = checkRequest(where, request)
  const { cuSeqlensQ = null, cuSeqlensK = null, normalizer: given = softmax } = request
  const normalizer = request.scoreMod ? (given.natural ?? given) : given
  const sequences = sequencesOf(where, shape, cuSeqlensQ, cuSeqlensK)
  const packed = cuSeqlensQ !== null || cuSeqlensK !== null
  const mask = request.maskMod ? traceMask(where, request.maskMod, cache.numberOf) : null
  const score = request.scoreMod ? traceScore(where, request.scoreMod, cache.numberOf) : null
  const captured = [...new Set([...(mask?.captured ?? []), ...(score?.captured ?? [])])]
  const dropout = request.dropout && request.dropout.rate > 0 ? request.dropout : null
  const steady = (mask?.captured ?? []).filter(({ source }) => !source || !choices.changing?.includes(source))
  const contents = await readCapturedIntegers(where, device, steady, cache)
  const { batch, numHeads: heads, queries: qLength, keys: kLength } = shape
  const pattern = request.blockMask ? readBlockMask(where, request.blockMask, { batch, heads, qLength, kLength }) : null

  const algorithm = choices.algorithm ?? (dropout ? 'flash' : chooseAlgorithm(shape, sequences, normalizer, pattern))
  const { dtype, headDim, valueDim, numHeads, numKvHeads, groupSize } = shape
  const tuned =
    request.tiling ??
    device.tiling(algorithm, { dtype, headDim, valueDim, ...(choices.lasting && longestOf(sequences)) })
  const tiling = algorithm === 'split-kv' && !request.tiling ? fitRows(device, tuned, sequences, groupSize) : tuned
  const { tileQ, tileK } = tiling
  const aligned =
    algorithm === 'flash' && patternFits(pattern, tuned, { hangsOver: mask !== null && kLength % tileK !== 0 })
  const splits = algorithm === 'split-kv' ? chooseSplits(device, sequences, numKvHeads, groupSize, tileQ, tileK) : 1
  const lengths = packed
    ? [cuSeqlensQ, cuSeqlensK].map((bounds) => (bounds ? Array.from(bounds).join() : '')).join('/')
    : `${batch} ${qLength} ${kLength}`
  const keyable = contents.key !== null && !pattern
  const workSpec = () => {
    const reading = mask ? readIntervals(mask.root, mask.variables, contents.known) : null
    const uses = (name: (typeof positionNames)[number]) =>
      reading?.uses.has(mask?.variables[positionNames.indexOf(name)] as Node) ?? false
    const [byHead, byBatch] = [uses('head'), uses('batch')]
    return { sequences, numHeads, mask: reading, byHead, byBatch, pattern }
  }
  let work: WorkList | null = null
  return {
    shape,
    packed,
    sequences,
    algorithm,
    tiling,
    normalizer,
    scale: request.scale ?? 1 / Math.sqrt(headDim),
    mask,
    score,
    dropout,
    pattern,
    asksPattern: pattern !== null && !aligned,
    splits,
    workKey: keyable
      ? [algorithm, tileQ, tileK, numHeads, groupSize, splits, packed, lengths, mask?.key, contents.key].join('|')
      : null,
    read: contents.tensors,
    captured: dropout ? [...captured, { source: dropout.seed }] : captured,
    workSpec,
    work() {
      if (work) return work
      const spec = { ...workSpec(), tileQ, tileK }
      work = algorithm === 'flash' ? flashWork(spec) : splitKvWork({ ...spec, groupSize, splits, stateBatch: batch })
      return work
    },
  }
}

/**
 * Do the blocks of a pattern say all about each tile? The last tile, where it hangs over the end of the tokens (`hangsOver`),
 * asks the mask even in a block that is not to ask it.
 */
export function patternFits(
  pattern: BlockPattern | null,
  { tileQ, tileK }: Tiling,
  { hangsOver }: { readonly hangsOver: boolean },
): boolean {
  if (!pattern) return true
  if (hangsOver && pattern.cells.includes(2)) return false
  return pattern.blockQ % tileQ === 0 && pattern.blockK % tileK === 0
}

/** What tiles that may suit one length are chosen by. */
export function longestOf(sequences: readonly Sequence[]): { tokens: number } {
  return { tokens: sequences.reduce((most, { qLength, kLength }) => Math.max(most, qLength, kLength), 0) }
}

/** Few queries over many keys are split along the keys, where states can be merged. */
function chooseAlgorithm(
  { groupSize }: AttentionShape,
  sequences: readonly Sequence[],
  normalizer: Normalizer,
  pattern: BlockPattern | null,
): 'flash' | 'split-kv' {
  const longest = sequences.reduce((most, { qLength }) => Math.max(most, qLength), 0)
  const few = longest === 1 || (longest <= 8 && longest * groupSize <= 64)
  return few && normalizer.split !== null && (pattern?.heads ?? 1) === 1 ? 'split-kv' : 'flash'
}

/** Tiles with no more rows than there are: empty rows cost a CPU as much as full ones. A power of two, so that few programs arise. */
function fitRows({ kind }: Device, tuned: Tiling, sequences: readonly Sequence[], groupSize: number): Tiling {
  if (kind === 'webgpu') return tuned
  const rows = sequences.reduce((most, { qLength }) => Math.max(most, qLength), 1) * groupSize
  return { ...tuned, tileQ: Math.min(tuned.tileQ, 2 ** Math.ceil(Math.log2(rows))) }
}

/** As many states per query as keep the device busy, each over at least two tiles of keys. */
function chooseSplits(
  { kind, info }: Device,
  sequences: readonly Sequence[],
  numKvHeads: number,
  groupSize: number,
  tileQ: number,
  tileK: number,
): number {
  const rowTiles = sequences.reduce((sum, { qLength }) => sum + Math.ceil((qLength * groupSize) / tileQ), 0)
  const longest = sequences.reduce((most, { kLength }) => Math.max(most, kLength), 0)
  const busy = kind === 'webgpu' ? 1024 : 2 * (info.threads ?? 1)
  const wanted = Math.ceil(busy / Math.max(rowTiles * numKvHeads, 1))
  return Math.max(1, Math.min(wanted, Math.floor(longest / tileK / 2), 256))
}

/** The mask that the kernel evaluates: the caller's, behind the pattern where tiles and blocks do not line up. */
export function maskInKernel(call: PreparedCall, maskMod: MaskMod | null, cells: Tensor | null): MaskMod | null {
  const { pattern } = call
  if (!pattern || !cells) return maskMod
  return (position) => {
    const { q, k, head, batch } = position
    const plane = (pattern.batch === 1 ? head.mul(0) : batch.mul(pattern.heads)).add(pattern.heads === 1 ? 0 : head)
    const cell = cells.at(plane, q.div(pattern.blockQ), k.div(pattern.blockK))
    return maskMod ? cell.eq(2).or(cell.eq(1).and(maskMod(position))) : cell.gt(0)
  }
}
