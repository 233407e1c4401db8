import type { TensorTable } from '../files/tensor-table.ts'
import type { ConfigFields } from './config-fields.ts'

const layerFields = ['num_hidden_layers', 'n_layer']
const widthFields = [
  'hidden_size',
  'n_embd',
  'num_attention_heads',
  'n_head',
  'num_key_value_heads',
  'head_dim',
  'intermediate_size',
  'n_inner',
]

/**
 * Believes a configuration as far as the file's tensors go, before anything is made of it: a layer takes at least a tensor,
 * and a width is a dimension of one. A file of a kilobyte can then not make a specification of a billion layers.
 *
 * Throws `format` naming file, field and what the tensors allow. What is no number is left to whoever reads it.
 */
export function checkExtent(config: ConfigFields, table: TensorTable): void {
  const tensors = table.names().map((name) => table.get(name))
  // a tensor of no bytes, or of elements that are not known here, may have any shape
  const sound = tensors.filter(({ byteLength, dtype }) => byteLength > 0 && dtype !== 'opaque')
  const widest = sound.reduce((most, { shape }) => shape.reduce((a, b) => Math.max(a, b), most), 1)
  const inner = config.section('text_config')
  for (const fields of inner ? [config, inner] : [config]) {
    const check = (name: string, most: number, what: string) => {
      const stated = sizeOf(fields, name)
      if (stated > most) throw fields.fault(name, `is ${stated}, ${table.source} has ${what} ${most}`)
    }
    for (const name of layerFields) check(name, tensors.length, 'so many tensors:')
    for (const name of widthFields) check(name, widest, 'no tensor with a dimension above')
  }
}

function sizeOf(config: ConfigFields, name: string): number {
  try {
    return config.has(name) ? config.size(name) : 0
  } catch {
    return 0
  }
}
