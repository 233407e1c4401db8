import { FoveaError } from '../../tile/index.ts'
import type { SpecOptions } from '../architectures/architecture.ts'
import { architectures } from '../architectures/find-architecture.ts'
import type { WeightSource } from '../checkpoint.ts'
import type { ByteSource } from '../files/byte-source.ts'
import { openGguf } from '../files/gguf.ts'
import { shown } from '../files/shown.ts'
import { ggufCheckpoint } from '../gguf-checkpoint.ts'
import type { Tokenizer } from '../tokenizer.ts'
import { decoderEmbedder } from './decoder-embedder.ts'
import type { EncoderSpec, Pooling } from './encoder-spec.ts'
import { ggufEncoder, ggufEncoders } from './gguf-encoder.ts'
import { noSettings, type TextSettings } from './text-settings.ts'

/** `pooling_type` as llama.cpp numbers it; null for those that are not computed here */
const poolings: readonly (Pooling | 'none' | null)[] = ['none', 'mean', 'cls', 'last', null]

/**
 * An encoder in a GGUF file, or a decoder as what gives embeddings, pooled as `pooling_type` of its architecture says. Vectors have length
 * 1, as llama.cpp gives them.
 *
 * Throws `unsupported` for encoders that are not known and for files of rerankers, and what `openGgufCheckpoint` throws.
 */
export async function ggufEmbedder(
  source: ByteSource,
  options: SpecOptions,
): Promise<
  WeightSource & { readonly spec: EncoderSpec; readonly tokenizer: Tokenizer; readonly settings: TextSettings }
> {
  const table = await openGguf(source)
  const refuse = (message: string) => new FoveaError('unsupported', 'openEmbedder', `${table.source}: ${message}`)
  const name = table.metadata.get('general.architecture')
  const encoder = ggufEncoders.get(String(name))
  if (!encoder && !architectures.some(({ ggufName }) => ggufName === name))
    throw refuse(`general.architecture is ${shown(name)}; known are ${[...ggufEncoders.keys()]} and those of decoders`)
  const type = table.metadata.get(`${name}.pooling_type`) ?? 0
  const pooling = typeof type === 'number' ? poolings[type] : undefined
  if (pooling === undefined || pooling === null)
    throw refuse(`${name}.pooling_type is ${shown(type)}; 1 (mean), 2 (cls) and 3 (last) are computed here`)
  const settings = { ...noSettings, pooling: pooling === 'none' ? null : pooling }
  if (encoder) return { ...(await ggufEncoder(table, String(name), encoder, options)), settings }
  const checkpoint = await ggufCheckpoint(table, options)
  return { ...checkpoint, spec: decoderEmbedder(table.source, checkpoint.spec), settings }
}
