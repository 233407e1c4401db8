import { type AttentionPlan, plan } from '../attention/plan.ts'
import type { DeviceKind } from '../device/device-info.ts'
import { contiguousStrides } from '../ir/tensor-spec.ts'
import type { CallRequest } from './algorithm-calls.ts'
import { algorithmCall, algorithmNames } from './algorithm-calls.ts'
import { floatDTypes, parseShape } from './call-shape.ts'
import { type Command, oneOf, parseCommand } from './command.ts'
import { maskForms, parseMask } from './mask-argument.ts'
import { planModel } from './plan-model.ts'
import { type RecordedCall, recordCall } from './recorded-call.ts'
import { type RecordedAs, recordedAs, recordingDevice } from './recording-device.ts'
import { textTable } from './text-table.ts'

const where = 'fovea plan'
const kinds: readonly DeviceKind[] = ['webgpu', 'wasm']

export const planCommand: Command = {
  help: [
    'usage: fovea plan <algorithm> <shape> [options]',
    '       fovea plan --model M [--context N] [options of fovea generate]',
    '',
    'Makes the call on a device that only counts: `fovea plan flash B1 H8 T16384 D64 --mask causal`. Shapes are those of',
    'query [B, T, H, D], key [B, S, Hkv, D] and value [B, S, Hkv, Dv]; S defaults to T, Hkv to H, Dv to D.',
    '',
    `  algorithms        ${algorithmNames.join(' ')}`,
    '  --dtype DTYPE     f32, f16, bf16 (f32)',
    `  --mask MASK       ${maskForms}; + is and, / is or, ! is not`,
    '  --device KIND     webgpu or wasm: tile sizes differ (wasm)',
    '  --json            one JSON object',
    '',
    'With --model: the memory that running a model takes, weights, cache and workspace, before anything is allocated.',
  ].join('\n'),
  async run(args) {
    if (args.some((word) => word === '-m' || word === '--model' || word.startsWith('--model='))) return planModel(args)
    const { values, positionals } = parseCommand(
      'plan',
      args,
      {
        dtype: { type: 'string', default: 'f32' },
        mask: { type: 'string' },
        device: { type: 'string', default: 'wasm' },
        json: { type: 'boolean', default: false },
      },
      16,
    )
    const [name = '', ...words] = positionals
    const shape = parseShape(where, words, algorithmCall(where, name).defaults)
    const kind = oneOf('plan', '--device', values.device, kinds)
    const request = {
      shape,
      dtype: oneOf('plan', '--dtype', values.dtype, floatDTypes),
      maskMod: values.mask === undefined ? null : parseMask(where, values.mask),
      scoreMod: null,
    }
    const as = recordedAs(kind, 1)
    const call = await recordCall(where, name, request, as)
    const work = algorithmCall(where, name).hooks ? await attentionWork(request, as) : null
    const { kernels, ...bytes } = call
    const listed = kernels.map(({ program, grid }) => ({ program: program.name, grid }))
    if (values.json)
      console.log(
        JSON.stringify({
          algorithm: name,
          shape,
          dtype: request.dtype,
          ...bytes,
          ...(work && { work }),
          kernels: listed,
        }),
      )
    else console.log([describe(call), ...(work ? [describeWork(work)] : [])].join('\n'))
  },
}

function describe({ kernels, inputs, outputs, kept, temporary, read, written }: RecordedCall): string {
  const bytes = (count: number) => count.toLocaleString('en-US')
  return [
    textTable([
      ['', 'bytes', ''],
      ['inputs', bytes(inputs), 'held by the caller'],
      ['outputs', bytes(outputs), 'allocated by the call, held by the caller afterwards'],
      ['kept', bytes(kept), 'work lists, which the device keeps for the next call'],
      ['temporary', bytes(temporary), 'allocated by the call besides, and freed again'],
      ['reads', bytes(read), 'tensors given to its kernels, each once per kernel'],
      ['writes', bytes(written), ''],
    ]),
    '',
    ...kernels.map(({ program, grid }) => `kernel ${program.name}: ${grid.join(' × ')} programs`),
  ].join('\n')
}

async function attentionWork({ shape, dtype, maskMod }: CallRequest, as: RecordedAs): Promise<AttentionPlan> {
  const { B, T, S, H, Hkv, D, Dv } = shape
  const spec = (sizes: readonly number[]) => ({ dtype, shape: sizes, strides: contiguousStrides(sizes), offset: 0 })
  const tensors = { query: spec([B, T, H, D]), key: spec([B, S, Hkv, D]), value: spec([B, S, Hkv, Dv]) }
  return await plan(recordingDevice(as).device, { ...tensors, ...(maskMod && { maskMod }) })
}

function describeWork({ density, flops, streams, tileQ, tileK, splits }: AttentionPlan): string {
  const lines = [
    `tiles of ${tileQ} queries × ${tileK} keys, of which ${(density * 100).toFixed(1)} % are streamed`,
    `${(flops / 1e9).toFixed(1)} GFLOP in those tiles; keys and values are loaded for ${streams.toLocaleString('en-US')} bytes`,
  ]
  return [...lines, ...(splits > 1 ? [`the keys are split into ${splits} parts`] : [])].join('\n')
}
