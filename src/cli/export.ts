import { FoveaError } from '../ir/error.ts'
import { ggufDTypes } from '../model/export/export-gguf.ts'
import { exportGguf, exportSafetensors, openCheckpoint } from '../model/index.ts'
import { type Command, oneOf, parseCommand } from './command.ts'
import { resolveModel } from './resolve-model.ts'

const plainDTypes = ['f32', 'f16', 'bf16'] as const

export const exportCommand: Command = {
  help: [
    'usage: fovea export --model M --output PATH [--dtype DTYPE]',
    '',
    'Writes a model as one GGUF file, which this program and llama.cpp read, or, where PATH does not end in .gguf, as a',
    'folder with safetensors as Hugging Face lays it out.',
    '',
    '  -m, --model M       a folder as Hugging Face lays it out, or a .gguf file',
    '  -o, --output PATH   the file; an old one is replaced when the new one is whole',
    `  --dtype DTYPE       of matrices (q8_0): ${ggufDTypes.join(', ')};`,
    '                      of a folder f32, f16 or bf16 (as the model is stored)',
  ].join('\n'),
  async run(args) {
    const { values } = parseCommand('export', args, {
      model: { type: 'string', short: 'm' },
      output: { type: 'string', short: 'o' },
      dtype: { type: 'string' },
    })
    const { model, output } = values
    if (!model || !output) throw new FoveaError('argument', 'fovea export', '--model and --output are needed')
    const file = output.endsWith('.gguf')
    const dtype =
      values.dtype === undefined ? null : oneOf('export', '--dtype', values.dtype, file ? ggufDTypes : plainDTypes)
    const checkpoint = await openCheckpoint(await resolveModel(model))
    try {
      if (file) await exportGguf(checkpoint, output, { dtype: (dtype as (typeof ggufDTypes)[number] | null) ?? 'q8_0' })
      else await exportSafetensors(checkpoint, output, dtype ? { dtype: dtype as (typeof plainDTypes)[number] } : {})
    } finally {
      await checkpoint.close()
    }
    console.log(
      `${output} holds ${checkpoint.spec.architecture} in ${dtype ?? (file ? 'q8_0' : 'the formats of the model')}`,
    )
  },
}
