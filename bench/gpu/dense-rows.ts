import { causal } from '../../src/attention/masks/index.ts'
import { alibi, alibiSlopes, softCap } from '../../src/attention/scores/index.ts'
import type { Device } from '../../src/device/index.ts'
import { type CaseHooks, type CaseInputs, caseInputs, checkCase, runCase } from './attention-case.ts'
import { errorText, type GpuRow, measured, round } from './gpu-row.ts'
import type { GpuSizes } from './gpu-sizes.ts'
import { interleavedTimes } from './interleaved-times.ts'

/** Plain causal attention at each size; with `hooks` also with score functions, beside the plain one in the same rounds. */
export async function denseRows(
  device: Device,
  sizes: GpuSizes['dense'],
  dtype: 'f32' | 'f16',
  { system, hooks }: { readonly system: string; readonly hooks: boolean },
): Promise<GpuRow[]> {
  const rows: GpuRow[] = []
  for (const { batch, numHeads, tokens, headDim } of sizes) {
    const shape = { batch, queries: tokens, keys: tokens, numHeads, numKvHeads: numHeads, headDim, dtype }
    const inputs = caseInputs(device, shape)
    const name = `${dtype} B${batch} H${numHeads} T${tokens} D${headDim} causal`
    const variants = new Map<string, CaseHooks>([['', plain]])
    if (hooks) for (const [hook, made] of scoreHooks(device, numHeads)) variants.set(hook, made)
    rows.push(...(await rowsOf(device, inputs, name, system, variants)))
    inputs.dispose()
  }
  return rows
}

const plain: CaseHooks = { maskMod: causal, visible: (q) => [0, q + 1] }

function scoreHooks(device: Device, numHeads: number): [string, CaseHooks][] {
  const slopes = alibiSlopes(numHeads)
  const slopeTensor = device.tensor(Float32Array.from(slopes), [numHeads])
  return [
    [
      '+ ALiBi',
      { ...plain, scoreMod: alibi(slopeTensor), score: (score, q, k, head) => score + slopes[head]! * (k - q) },
    ],
    [
      '+ user-written score',
      {
        ...plain,
        // a penalty on distance that ends at −4
        scoreMod: ({ score, q, k }) => score.add(k.sub(q).cast('f32').mul(0.02).max(-4)),
        score: (score, q, k) => score + Math.max(0.02 * (k - q), -4),
      },
    ],
    ['+ softcap', { ...plain, scoreMod: softCap(20), score: (score) => 20 * Math.tanh(score / 20) }],
  ]
}

async function rowsOf(
  device: Device,
  inputs: CaseInputs,
  name: string,
  system: string,
  variants: ReadonlyMap<string, CaseHooks>,
): Promise<GpuRow[]> {
  const { batch, queries, numHeads, headDim } = inputs.shape
  const caseOf = (hook: string) => (hook === '' ? name : `${name} ${hook}`)
  const wrong: GpuRow[] = []
  const sound: { hook: string; hooks: CaseHooks; error: number }[] = []
  for (const [hook, hooks] of variants)
    try {
      sound.push({ hook, hooks, error: await checkCase(device, inputs, hooks) })
    } catch (error) {
      wrong.push({ case: caseOf(hook), system, unit: 'TFLOP/s', error: errorText(error) })
    }
  const times = await interleavedTimes(
    device,
    sound.map(
      ({ hooks }) =>
        () =>
          runCase(device, inputs, hooks),
    ),
  )
  const operations = 2 * batch * numHeads * queries * queries * headDim
  const plainMs = sound[0]?.hook === '' ? times[0]?.medianMs : undefined
  const timed = sound.map(({ hook, error }, i): GpuRow => {
    const share =
      hook === '' || plainMs === undefined ? {} : { share: { value: round(plainMs / times[i]!.medianMs), of: 'plain' } }
    return {
      case: caseOf(hook),
      system,
      unit: 'TFLOP/s',
      ...measured(times[i]!, operations, 1e12),
      relativeError: round(error),
      ...share,
    }
  })
  return [...timed, ...wrong]
}
