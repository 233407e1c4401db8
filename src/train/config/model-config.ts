import { configFields, isRecord } from '../../model/architectures/config-fields.ts'
import { findArchitecture } from '../../model/architectures/find-architecture.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { FoveaError, meant } from '../../tile/index.ts'
import type { Reader } from './field-readers.ts'

/** The fields of a Hugging Face config.json. */
export type ModelFields = Readonly<Record<string, unknown>>

/** fields that say nothing about the computation */
const ignored = ['model_type', 'architectures', 'dtype', 'torch_dtype', 'transformers_version', 'initializer_range']

export const modelFieldsReader: Reader<ModelFields> = (value, path, faults) => {
  if (isRecord(value)) return value
  faults.push(`${path}: must be the path of a model or the fields of a config.json`)
  return {}
}

/**
 * The specification that fields of a config.json describe. Faults are added to `faults`: what the architecture rejects, and
 * each field that it does not read.
 */
export function modelSpec(fields: ModelFields, faults: string[]): DecoderSpec | null {
  const fault = (error: unknown): null => {
    if (!(error instanceof FoveaError)) throw error
    faults.push(error.message.replace(/^\w+: /, '').replace(/^model: /, 'model.'))
    return null
  }
  const config = configFields('model', fields)
  let spec: DecoderSpec | null = null
  try {
    const architecture = findArchitecture('model', 'model_type', String(fields.model_type))
    spec = architecture.spec(config, {})
  } catch (error) {
    return fault(error)
  }
  const known = [...config.asked(), ...ignored]
  for (const { name, path } of config.unread())
    if (!ignored.includes(path))
      faults.push(`model.${path}: ${spec.architecture} reads no such field${meant(name, known)}`)
  return spec
}

/**
 * The specification of a model from the fields of a config.json, for fresh weights. Throws `argument` naming each field that is
 * missing, wrong or not read by the architecture.
 */
export function decoderSpec(fields: ModelFields): DecoderSpec {
  const faults: string[] = []
  const spec = modelSpec(fields, faults)
  if (spec && faults.length === 0) return spec
  throw new FoveaError('argument', 'decoderSpec', faults.join('; '))
}
