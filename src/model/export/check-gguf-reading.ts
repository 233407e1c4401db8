import { FoveaError } from '../../tile/index.ts'
import type { Architecture } from '../architectures/architecture.ts'
import { checkGgufKeys } from '../architectures/check-gguf-keys.ts'
import { type GgufOutline, ggufConfig, withoutNormOffsets } from '../architectures/gguf-config.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import type { GgufValue } from '../files/gguf-types.ts'
import type { GgufTypedValue } from '../files/write-gguf.ts'
import type { TensorToWrite } from '../files/write-safetensors.ts'
import { specDifference } from './spec-difference.ts'

/**
 * Reads what is to be written: a file says what it is made for where the specification comes back, and llama.cpp computes
 * what the reader knows of it. Throws `unsupported` naming what comes back otherwise.
 */
export async function checkGgufReading(
  spec: DecoderSpec,
  architecture: Architecture & { readonly ggufName: string },
  metadata: ReadonlyMap<string, GgufTypedValue>,
  tensors: readonly TensorToWrite[],
): Promise<void> {
  const refuse = (what: string) =>
    new FoveaError('unsupported', 'exportGguf', `llama.cpp's ${spec.architecture} has ${what}`)
  const { refused, biases = [] } = architecture.gguf ?? {}
  const fault = refused?.(spec)
  if (fault !== undefined) throw refuse(fault)
  if (spec.layers.some((layer) => layer.attention.outputBias) && !biases.includes('output'))
    throw refuse('no bias of what attention puts out')
  if (spec.layers.some((layer) => layer.mlp.bias) && !biases.includes('mlp')) throw refuse('no biases of the MLP')

  const shapes = new Map(tensors.map(({ name, shape }) => [name, { shape }]))
  const outline: GgufOutline = {
    source: `GGUF files of ${spec.architecture}`,
    metadata: new Map([...metadata].map(([key, value]) => [key, plain(value)])),
    has: (name) => shapes.has(name),
    get: (name) => shapes.get(name) ?? { shape: [] },
  }
  const divisors = tensors.find(({ name }) => name === 'rope_freqs.weight')
  const bytes = await divisors?.read()
  const factors = bytes ? { all: [...new Float32Array(bytes.slice().buffer)] } : {}
  const { config, isRead } = ggufConfig(outline, architecture, factors)
  const read = withoutNormOffsets(architecture.spec(config, { contextLength: spec.maxPositions }))
  checkGgufKeys(outline, architecture.ggufName, isRead)
  const { bosToken, eosTokens } = spec
  const difference = specDifference(spec, { ...read, bosToken, eosTokens })
  if (difference !== undefined) throw refuse(`${difference} otherwise, and no key for it`)
}

/** A value as it is read: numbers of 32 bits have what 32 bits hold. */
function plain({ type, value }: GgufTypedValue): GgufValue {
  return (type === 'f32' ? Math.fround(Number(value)) : value) as GgufValue
}
