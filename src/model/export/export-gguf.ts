import { writtenDTypes } from '../../nn/block-formats/matrix-values.ts'
import { weightFormats } from '../../nn/block-formats/weight-formats.ts'
import { type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import { checkChoice, checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { architectures } from '../architectures/find-architecture.ts'
import { writtenGgufNames } from '../architectures/gguf-names.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { writeGguf } from '../files/write-gguf.ts'
import { checkGgufReading } from './check-gguf-reading.ts'
import { fileTensors, type MatrixToStore } from './file-tensors.ts'
import { checkGgufLimits, hasGgufLimits } from './gguf-limits.ts'
import { ggufMetadata } from './gguf-metadata.ts'
import { tokenizerMetadata } from './tokenizer-metadata.ts'

export interface GgufExportOptions {
  /** of matrices; as they are stored in the checkpoint when absent */
  readonly dtype?: WeightDType
  /** changes what a matrix is stored as, given its tensor's name in the file and what would be chosen */
  readonly tensorDType?: (tensor: string, chosen: WeightDType) => WeightDType
  /** `general.name`; the last part of the checkpoint's source when absent */
  readonly name?: string
  readonly onProgress?: (tensorsDone: number, tensors: number) => void
}

/** What matrices can be written as. */
export const ggufDTypes: readonly WeightDType[] = writtenDTypes.filter((dtype) => weightFormats[dtype].ggml)

/** too coarse for the matrix that gives the logits */
const fourBits: ReadonlySet<WeightDType> = new Set(['q4_0', 'q4_1', 'mxfp4'])

/**
 * Writes a checkpoint as a GGUF file that fovea and llama.cpp read: llama.cpp's names, keys and order of rows, Gemma's 1
 * added to the weights of norms, vectors and learned positions in f32. With `q4_0`, `q4_1` and `mxfp4` the matrix that gives
 * the logits is Q8_0; a matrix whose rows are no whole number of blocks is f16. Blocks of formats that are only read (Q2_K,
 * Q3_K, IQ4_NL, IQ4_XS) are copied where no other dtype is asked for. The file is written aside and renamed.
 *
 * Mistral and StarCoder 2 are written with their window noted; llama.cpp sees all keys. Of most architectures what is to be
 * written is read again before it is, and refused where another model would come back.
 *
 * Throws `argument` for a dtype that is not written; `unsupported` for what llama.cpp would compute otherwise or does not
 * open, naming it, or a tokenizer that has no form in GGUF; `argument` for a weight that the dtype cannot hold; `io` naming
 * the path.
 */
export async function exportGguf(checkpoint: Checkpoint, path: string, options: GgufExportOptions = {}): Promise<void> {
  checkFields('exportGguf', 'options', options, fields)
  if (options.dtype !== undefined) checkChoice('exportGguf', 'dtype', options.dtype, ggufDTypes)
  const { spec } = checkpoint
  const architecture = writtenArchitecture(spec.architecture)
  if (hasGgufLimits(spec)) checkGgufLimits(spec)
  const tensors = fileTensors(checkpoint, writtenGgufNames(architecture, spec), {
    vector: 'f32',
    normOffset: spec.finalNorm.offset,
    matrix(matrix) {
      const chosen = fittingDType(matrix, matrixDType(matrix, options.dtype))
      const stored = options.tensorDType?.(matrix.tensor, chosen) ?? chosen
      // blocks that are only read are copied
      if (stored !== chosen) checkChoice('exportGguf', `tensorDType of ${matrix.tensor}`, stored, ggufDTypes)
      return stored
    },
  })
  const name = options.name ?? checkpoint.source.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, '')
  const mostly = options.dtype ?? checkpoint.matrixInfo('layers.0.attention.query').dtype
  const described = ggufMetadata(spec, architecture, name, mostly)
  const metadata = new Map([...described.metadata, ...tokenizerMetadata(checkpoint.tokenizer, spec)])
  const all = [...tensors, ...described.tensors]
  if (!hasGgufLimits(spec)) await checkGgufReading(spec, architecture, metadata, all)
  let done = 0
  const reported = all.map((tensor) => ({
    ...tensor,
    async read() {
      const bytes = await tensor.read()
      options.onProgress?.(++done, all.length)
      return bytes
    },
  }))
  await writeGguf(path, metadata, reported)
}

/** The architecture by its name. Throws `unsupported`, naming those whose files are written. */
function writtenArchitecture(name: string) {
  const written = architectures.flatMap(({ ggufName, ...rest }) =>
    ggufName === undefined ? [] : [{ ...rest, ggufName }],
  )
  const found = written.find((known) => known.name === name)
  if (found) return found
  const known = written.map((one) => one.name).join(', ')
  throw new FoveaError('unsupported', 'exportGguf', `GGUF files of ${name} are not written; those of ${known} are`)
}

function matrixDType({ tensor, stored, givesLogits, givesPositions }: MatrixToStore, dtype: WeightDType | undefined) {
  // so small, and what they choose so much depends on it, that all programs keep them whole
  if (givesPositions || tensor.includes('.ffn_gate_inp')) return 'f32'
  if (dtype && fourBits.has(dtype) && givesLogits) return 'q8_0'
  return dtype ?? stored
}

/** Formats of safetensors have none in GGUF, and rows may be no whole number of blocks. */
function fittingDType({ shape }: MatrixToStore, dtype: WeightDType): WeightDType {
  const fits = weightFormats[dtype].ggml && (shape.at(-1) ?? 0) % weightBlock[dtype].elements === 0
  return fits ? dtype : 'f16'
}

const fields: FieldsOf<GgufExportOptions> = { dtype: true, tensorDType: true, name: true, onProgress: true }
