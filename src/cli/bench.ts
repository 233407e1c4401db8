import type { DeviceKind } from '../device/device-info.ts'
import { openDevice } from '../device/index.ts'
import { attentionTrial, type Trial } from './attention-trial.ts'
import { type Command, oneOf, parseCommand, wholeNumber } from './command.ts'
import { textTable } from './text-table.ts'

const kinds: readonly DeviceKind[] = ['webgpu', 'wasm', 'interpret']

export const benchCommand: Command = {
  help: [
    'usage: fovea bench [options]',
    '',
    'Causal attention in f32, batch 1. Each result is checked on sampled rows before it is timed; a wrong one is said',
    'and not timed, and the exit code is 1. `npm run bench` in the repository measures with peers.',
    '',
    '  --device KINDS    webgpu, wasm, interpret, separated by commas (what openDevice() opens)',
    '  --tokens NUMBERS  separated by commas (1024,4096)',
    '  --heads N         (8)',
    '  --head-dim N      (64)',
    '  --repeats N       timed calls, of which the median counts (5)',
    '  --json            one JSON line per measurement',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('bench', args, {
      device: { type: 'string' },
      tokens: { type: 'string', default: '1024,4096' },
      heads: { type: 'string', default: '8' },
      'head-dim': { type: 'string', default: '64' },
      repeats: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
    })
    const chosen = values.device?.split(',').map((kind) => oneOf('bench', '--device', kind, kinds)) ?? [undefined]
    const tokens = values.tokens.split(',').map((text) => wholeNumber('bench', '--tokens', text))
    const numHeads = wholeNumber('bench', '--heads', values.heads)
    const headDim = wholeNumber('bench', '--head-dim', values['head-dim'])
    const repeats = wholeNumber('bench', '--repeats', values.repeats)

    const lines: string[][] = []
    for (const kind of chosen) {
      const device = await openDevice(kind)
      const { name, tier, threads } = device.info
      const detail = tier !== null ? `, T${tier}` : threads !== null ? `, ${threads} threads` : ''
      const label = `${device.kind}${detail}: ${name}`
      try {
        for (const count of tokens) {
          const shape = { tokens: count, numHeads, headDim }
          const trial = await attentionTrial(device, shape, { repeats })
          if (!(trial.error <= trial.bound)) process.exitCode = 1
          if (values.json) console.log(JSON.stringify({ device: label, shape, ...trial }))
          else lines.push([label, `f32 B1 H${numHeads} T${count} D${headDim} causal`, ...measured(trial)])
        }
      } finally {
        device.dispose()
      }
    }
    const head = ['device', 'case', 'GFLOP/s', 'median ms', 'first call ms', 'extra MB', 'relative error']
    if (!values.json) console.log(textTable([head, ...lines]))
  },
}

function measured(trial: Trial): string[] {
  const error = `${trial.error.toExponential(1)}${trial.error <= trial.bound ? '' : ' WRONG'}`
  const rate = Number.isNaN(trial.medianMs)
    ? ['not timed', '–']
    : [trial.gigaflops.toFixed(1), trial.medianMs.toFixed(2)]
  return [...rate, trial.firstCallMs.toFixed(0), (trial.extraDeviceBytes / 1e6).toFixed(1), error]
}
