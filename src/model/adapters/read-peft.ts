import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { FoveaError } from '../../tile/index.ts'
import type { DecoderSpec } from '../decoder-spec.ts'
import { openFile } from '../files/open-file.ts'
import { parseJson } from '../files/parse-json.ts'
import { openSafetensors } from '../files/safetensors.ts'
import { isWeightDType, type TensorEntry, type TensorTable } from '../files/tensor-table.ts'
import { type LoraTarget, linearLayers } from './linear-layers.ts'
import { type PeftConfig, readPeftConfig } from './peft-config.ts'

export const configFile = 'adapter_config.json'
export const weightsFile = 'adapter_model.safetensors'
/** what PEFT writes before a module's name */
export const before = 'base_model.model.'

/** Adapters of a folder: W + scale · B · A for each layer that has some. */
export interface PeftAdapters {
  readonly config: PeftConfig
  /** alpha / rank, or alpha / √rank */
  readonly scale: number
  /** A [rank, inputs] and B [outputs, rank] by our names of layers */
  readonly factors: ReadonlyMap<string, { readonly a: TensorEntry; readonly b: TensorEntry }>
  fingerprint(): Promise<string>
  close(): Promise<void>
}

/**
 * Opens a folder as Hugging Face PEFT writes it. Throws `io` for files that are not there, `format` naming file and field or
 * tensor (no JSON, a missing or unknown tensor, shapes that do not fit rank or layer), `unsupported` for what is not computed
 * here: other kinds of adapters, DoRA, trained biases or modules, ranks and alphas by layer.
 */
export async function readPeft(
  folder: string,
  spec: DecoderSpec,
  ignoreFields?: readonly string[],
): Promise<PeftAdapters> {
  const table = await openSafetensors(await openFile(`${folder}/${weightsFile}`))
  try {
    const config = await readConfig(`${folder}/${configFile}`, ignoreFields)
    const { rank, alpha, rankStabilised } = config
    const factors = findFactors(table, linearLayers(spec), rank)
    const scale = alpha / (rankStabilised ? Math.sqrt(rank) : rank)
    return { config, scale, factors, fingerprint: () => table.fingerprint(), close: () => table.close() }
  } catch (error) {
    await table.close()
    throw error
  }
}

async function readConfig(path: string, ignored: readonly string[] | undefined): Promise<PeftConfig> {
  const source = await openFile(path)
  const bytes = await source.read(0, source.size).finally(() => source.close())
  let config: unknown
  try {
    config = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new FoveaError('format', 'loadPeft', `${path} is no JSON: ${(cause as Error).message}`, { cause })
  }
  return readPeftConfig(path, config, ignored)
}

/** The tensors of each layer that has some, by our names of layers. */
function findFactors(table: TensorTable, layers: readonly LoraTarget[], rank: number) {
  const fault = (message: string) => new FoveaError('format', 'loadPeft', `${table.source}: ${message}`)
  const byModule = new Map(layers.flatMap((layer) => (layer.module === null ? [] : [[layer.module, layer] as const])))
  const found = new Map<string, { layer: LoraTarget; factors: Map<string, TensorEntry> }>()
  for (const name of table.names()) {
    const [, module = '', factor = ''] = /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/.exec(name) ?? []
    const layer = byModule.get(module)
    if (!layer) throw fault(`${name} is no adapter of a linear layer of this model`)
    const entry = table.get(name)
    const shape = factor === 'A' ? [rank, layer.inputs] : [layer.outputs, rank]
    if (entry.shape.join() !== shape.join())
      throw fault(
        `${name} must be [${shape.join(', ')}] for ${layer.name} and rank ${rank}, got [${entry.shape.join(', ')}]`,
      )
    const known = found.get(layer.name) ?? { layer, factors: new Map<string, TensorEntry>() }
    found.set(layer.name, known)
    known.factors.set(factor, entry)
  }
  if (found.size === 0) throw fault('has no adapters')
  return new Map(
    [...found].map(([name, { layer, factors }]) => {
      const [a, b] = [factors.get('A'), factors.get('B')]
      if (!a || !b) throw fault(`${before}${layer.module}.lora_${a ? 'B' : 'A'}.weight is missing`)
      return [name, { a, b }]
    }),
  )
}

/** The numbers of a factor, row by row. Throws `format` for what is no weight. */
export async function numbersOf({ name, dtype, storedAs, shape, read }: TensorEntry): Promise<Float32Array> {
  if (!isWeightDType(dtype))
    throw new FoveaError('format', 'loadPeft', `${name} is ${storedAs}, which is not read as a weight`)
  const [rows = 0, cols = 0] = shape
  return dequantizeRows({ dtype, rows, cols, bytes: await read() })
}
