import { drawBlockMap } from '../attention/draw-block-map.ts'
import type { DeviceKind, WebgpuTier } from '../device/device-info.ts'
import { printProgram } from '../ir/print.ts'
import type { Program } from '../ir/schedule.ts'
import { algorithmCall, algorithmNames } from './algorithm-calls.ts'
import { floatDTypes, parseShape } from './call-shape.ts'
import { type Command, oneOf, parseCommand, wholeNumber } from './command.ts'
import { maskForms, parseMask } from './mask-argument.ts'
import { maskMap } from './mask-map.ts'
import { recordCall } from './recorded-call.ts'
import { recordedAs, recordingDevice } from './recording-device.ts'
import { parseScore, scoreForms } from './score-argument.ts'

const where = 'fovea show'
const targets = ['ir', 'wgsl', 'wat'] as const
const tiers = ['0', '1', '2', '3'] as const

export const showCommand: Command = {
  help: [
    'usage: fovea show [<algorithm>] [options]',
    '',
    'Prints the kernels that a call runs; with no algorithm, lists them. With a mask, draws which blocks are full (█),',
    'partial (▒) and skipped (·) before them.',
    '',
    '  --target TARGET   ir, wgsl, wat (ir)',
    '  --tier N          WGSL for tier 0 (f32), 1 (+ subgroups), 2 (+ f16), 3 (+ matrix units) (1)',
    `  --mask MASK       ${maskForms}; + is and, / is or, ! is not`,
    `  --score SCORE     ${scoreForms}`,
    '  --map             the block map alone',
    '  --dtype DTYPE     f32, f16, bf16 (f32)',
    '  --head-dim N --tokens N --keys N --heads N --kv-heads N',
  ].join('\n'),
  async run(args) {
    const { values, positionals } = parseCommand(
      'show',
      args,
      {
        target: { type: 'string', default: 'ir' },
        tier: { type: 'string', default: '1' },
        mask: { type: 'string' },
        score: { type: 'string' },
        map: { type: 'boolean', default: false },
        dtype: { type: 'string', default: 'f32' },
        'head-dim': { type: 'string' },
        tokens: { type: 'string' },
        keys: { type: 'string' },
        heads: { type: 'string' },
        'kv-heads': { type: 'string' },
      },
      1,
    )
    const target = oneOf('show', '--target', values.target, targets)
    const tier = Number(oneOf('show', '--tier', values.tier, tiers)) as WebgpuTier
    const dtype = oneOf('show', '--dtype', values.dtype, floatDTypes)
    const name = positionals[0]
    if (name === undefined) {
      console.log(listAlgorithms())
      return
    }
    const maskMod = values.mask === undefined ? null : parseMask(where, values.mask)
    const scoreMod = values.score === undefined ? null : parseScore(where, values.score)
    const words = Object.entries({
      D: 'head-dim',
      T: 'tokens',
      S: 'keys',
      H: 'heads',
      Hkv: 'kv-heads',
    } as const).flatMap(([letter, option]) => {
      const text = values[option]
      return text === undefined ? [] : [`${letter}${wholeNumber('show', `--${option}`, text)}`]
    })
    const shape = parseShape(where, words, algorithmCall(where, name).defaults)
    const kind: DeviceKind = target === 'wgsl' ? 'webgpu' : 'wasm'
    const as = recordedAs(kind, tier)
    const { kernels } = await recordCall(where, name, { shape, dtype, maskMod, scoreMod }, as)
    if (maskMod) {
      const widths = { headDim: shape.D, valueDim: shape.Dv, dtype }
      const { tileQ, tileK } = recordingDevice(as).device.tiling('flash', widths)
      const map = maskMap(where, maskMod, { queries: shape.T, keys: shape.S, tileQ, tileK })
      console.log(drawBlockMap(map))
      if (values.map) return
    }
    // one text for each program, however often it is run
    const programs = [...new Set(kernels.map(({ program }) => program))]
    const print = await printer(target, tier)
    for (const program of programs) console.log(print(program))
  },
}

/** Back ends are loaded when they are asked for. */
async function printer(target: (typeof targets)[number], tier: WebgpuTier): Promise<(program: Program) => string> {
  if (target === 'ir') return printProgram
  if (target === 'wat') return (await import('./print-wat.ts')).printProgramWat
  const { printWgsl } = await import('./print-wgsl.ts')
  return (program) => printWgsl(program, tier)
}

function listAlgorithms(): string {
  const width = Math.max(...algorithmNames.map((name) => name.length))
  return algorithmNames.map((name) => `${name.padEnd(width)}  ${algorithmCall(where, name).summary}`).join('\n')
}
