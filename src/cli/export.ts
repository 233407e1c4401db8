import { FoveaError } from '../ir/error.ts'
import { exportGguf, openCheckpoint } from '../model/index.ts'
import { type Command, oneOf, parseCommand } from './command.ts'
import { resolveModel } from './resolve-model.ts'

const dtypes = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const

export const exportCommand: Command = {
  help: [
    'usage: fovea export --model M --output PATH.gguf [--dtype DTYPE]',
    '',
    'Writes a model as one GGUF file, which this program and llama.cpp read.',
    '',
    '  -m, --model M       a folder as Hugging Face lays it out, or a .gguf file',
    '  -o, --output PATH   the file; an old one is replaced when the new one is whole',
    `  --dtype DTYPE       of matrices: ${dtypes.join(', ')} (q8_0); vectors stay f32`,
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('export', args, {
      model: { type: 'string', short: 'm' },
      output: { type: 'string', short: 'o' },
      dtype: { type: 'string', default: 'q8_0' },
    })
    const { model, output } = values
    if (!model || !output) throw new FoveaError('argument', 'fovea export', '--model and --output are needed')
    const dtype = oneOf('export', '--dtype', values.dtype, dtypes)
    const checkpoint = await openCheckpoint(await resolveModel(model))
    try {
      await exportGguf(checkpoint, output, { dtype })
    } finally {
      await checkpoint.close()
    }
    console.log(`${output} holds ${checkpoint.spec.architecture} in ${dtype}`)
  },
}
