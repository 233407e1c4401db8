import type { Tensor } from '../../device/device.ts'
import { crossEntropyScratch } from '../../nn/cross-entropy.ts'
import { matmul } from '../../nn/matmul.ts'
import { sample } from '../../nn/sample.ts'
import { colRange, defineProgram, load, type Program, store } from '../../tile/index.ts'
import type { OutputHead } from './output-head.ts'
import type { TapeCore } from './tape-core.ts'
import type { Variable } from './variable.ts'

export interface DrawTargetsRequest {
  readonly head: OutputHead
  /** −1: none is drawn */
  readonly targets: Tensor // i32 [N]
  /** what a draw is a function of, for each token: see `sample` */
  readonly seeds: Tensor // u32 [N, 2]
  /** rows of `settingsRow({})`: the distribution as it is */
  readonly settings: Tensor // f32 [N, 8]
  readonly drawn: Tensor // i32 [N]
}

/**
 * drawn[n] from softmax(softCap(hidden[n] · weightᵀ + bias)), the model's own distribution, and −1 where there is no target;
 * logits exist for a chunk of tokens at a time.
 */
export function drawTargets(tape: TapeCore, hidden: Variable, request: DrawTargetsRequest): void {
  const { device, workspace } = tape
  const { head, targets, seeds, settings, drawn } = request
  const { weight, bias, softCap } = head
  const [rows = 0] = hidden.shape
  const vocabulary = weight.compute.shape[0] as number
  const { shape } = crossEntropyScratch({ tokens: rows, vocabulary, dtype: 'f32', gradients: false }).logits
  const [chunk = 1, width = vocabulary] = shape
  const [logits, ids, logprobs] = [workspace.take(shape), workspace.take([rows], 'i32'), workspace.take([rows])]
  for (let from = 0; from < rows; from += chunk) {
    const to = Math.min(rows, from + chunk)
    const part = (x: Tensor) => {
      const [, ...inner] = x.shape
      return workspace.view(x, {
        shape: [to - from, ...inner],
        strides: x.strides,
        offset: x.offset + from * (x.strides[0] as number),
      })
    }
    const output = workspace.view(logits, { shape: [to - from, vocabulary], strides: [width, 1] })
    matmul(device, {
      a: part(hidden.value),
      b: weight.compute,
      transposeB: true,
      ...(bias && { bias: bias.weight }),
      output,
    })
    sample(device, {
      logits: output,
      settings: part(settings),
      seeds: part(seeds),
      softCap,
      output: { ids: part(ids), logprobs: part(logprobs) },
    })
  }
  device.run({ program: keepTargets, grid: [Math.ceil(rows / tile), 1, 1], scalars: {} }, { ids, targets, drawn })
  for (const tensor of [logits, ids, logprobs]) workspace.give(tensor)
}

const tile = 256

/** drawn = targets < 0 ? −1 : ids */
const keepTargets: Program = defineProgram('keep-targets', (p) => {
  const [ids, targets] = [p.input('ids', 'i32', [null]), p.input('targets', 'i32', [null])]
  const drawn = p.output('drawn', 'i32', [null])
  const at = [colRange(p.programId(0).mul(tile), tile)] as const
  p.emit(store(drawn, at, load(targets, at).lt(0).select(-1, load(ids, at))))
})
