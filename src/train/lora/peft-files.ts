import type { Device } from '../../device/device.ts'
import { makeFolder } from '../../model/files/make-folder.ts'
import { openFile } from '../../model/files/open-file.ts'
import { parseJson } from '../../model/files/parse-json.ts'
import { openSafetensors } from '../../model/files/safetensors.ts'
import type { TensorEntry, TensorTable } from '../../model/files/tensor-table.ts'
import { isWeightDType } from '../../model/files/tensor-table.ts'
import { writeAside } from '../../model/files/write-aside.ts'
import { type TensorToWrite, writeSafetensors } from '../../model/files/write-safetensors.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { createLoraDecoder, type LoraDecoder, type LoraDecoderOptions } from './lora-decoder.ts'
import { type LoraPlan, type LoraTarget, linearLayers } from './lora-options.ts'
import { type PeftConfig, readPeftConfig } from './peft-config.ts'

const [configFile, weightsFile] = ['adapter_config.json', 'adapter_model.safetensors']
const before = 'base_model.model.'

/**
 * Writes the adapters of a decoder as a folder that Hugging Face PEFT reads: adapter_config.json and adapter_model.safetensors
 * (f32, `base_model.model.<module>.lora_A.weight`). `base` is what PEFT looks the base up by (the checkpoint's path or name).
 * Throws `unsupported` for layers that the architecture's files store fused with others and for an attention with parameters of
 * its own, `io` naming the file.
 */
export async function savePeft(
  decoder: LoraDecoder,
  folder: string,
  options: { readonly base?: string } = {},
): Promise<void> {
  checkFields('savePeft', 'options', options, savePeftFields)
  const { plan, parameters, base } = decoder
  const own = Object.keys(base.attention.parameters ?? {})
  if (own.length > 0)
    throw new FoveaError(
      'unsupported',
      'savePeft',
      `adapters of PEFT have no place for ${own.join(', ')}, parameters of the attention ${base.attention.name}`,
    )
  const tensors = plan.targets.flatMap(({ name, module, outputs, inputs }): TensorToWrite[] => {
    if (module === null)
      throw new FoveaError(
        'unsupported',
        'savePeft',
        `files of ${decoder.base.spec.architecture} store ${name} fused with others, which no adapter of its own can say`,
      )
    const factor = (ours: string, theirs: string, shape: readonly number[]): TensorToWrite => ({
      name: `${before}${module}.${theirs}.weight`,
      dtype: 'f32',
      shape,
      async read() {
        const { buffer, byteOffset, byteLength } = await parameters.read(`${name}.${ours}`)
        return new Uint8Array(buffer, byteOffset, byteLength)
      },
    })
    return [factor('loraA', 'lora_A', [plan.rank, inputs]), factor('loraB', 'lora_B', [outputs, plan.rank])]
  })
  await makeFolder('savePeft', folder)
  await writeSafetensors(`${folder}/${weightsFile}`, tensors, { format: 'pt' })
  const config = `${JSON.stringify(peftConfig(decoder, options.base), null, 2)}\n`
  await writeAside(`${folder}/${configFile}`, (sink) => sink.write(new TextEncoder().encode(config)))
}

function peftConfig({ plan, base }: LoraDecoder, path: string | undefined): Readonly<Record<string, unknown>> {
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: path ?? null,
    r: plan.rank,
    lora_alpha: plan.alpha,
    lora_dropout: 0,
    use_rslora: plan.rankStabilised,
    bias: 'none',
    fan_in_fan_out: plan.targets.some(({ transposed }) => transposed),
    inference_mode: true,
    modules_to_save: null,
    target_modules: moduleNames(plan, linearLayers(base.spec)),
  }
}

/** Last parts of names where they say the same, else the names. */
function moduleNames({ targets }: LoraPlan, all: readonly LoraTarget[]): string[] {
  const last = ({ module }: LoraTarget) => module?.split('.').at(-1) ?? ''
  const short = [...new Set(targets.map(last))]
  const meant = all.filter((layer) => short.includes(last(layer)))
  return meant.length === targets.length ? short : targets.map(({ module }) => module ?? '')
}

/**
 * A decoder with the adapters of a PEFT folder over the base in `from`. What the tensors are called says which layers have
 * adapters. Throws `io` for files that are not there, `format` naming file and field or tensor (no JSON, a missing or unknown
 * tensor, shapes that do not fit rank or layer), `unsupported` for what is not computed here: other kinds of adapters, DoRA,
 * trained biases or modules, ranks and alphas by layer.
 */
export async function loadPeft(
  device: Device,
  folder: string,
  {
    ignoreFields,
    ...options
  }: Omit<LoraDecoderOptions, 'lora' | 'seed'> & { readonly ignoreFields?: readonly string[] },
): Promise<LoraDecoder> {
  checkFields('loadPeft', 'options', options, loadPeftFields)
  const table = await openSafetensors(await openFile(`${folder}/${weightsFile}`))
  try {
    const { rank, ...rest } = await readConfig(`${folder}/${configFile}`, ignoreFields)
    const factors = findFactors(table, linearLayers(options.from.spec), rank)
    const lora = { rank, ...rest, targets: [...factors.keys()] }
    const decoder = await createLoraDecoder(device, { ...options, lora })
    try {
      for (const [name, { a, b }] of factors) {
        decoder.parameters.write(`${name}.loraA`, await numbersOf(a))
        decoder.parameters.write(`${name}.loraB`, await numbersOf(b))
      }
      return decoder
    } catch (error) {
      decoder.dispose()
      throw error
    }
  } finally {
    await table.close()
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

async function numbersOf({ name, dtype, storedAs, shape, read }: TensorEntry): Promise<Float32Array> {
  if (!isWeightDType(dtype))
    throw new FoveaError('format', 'loadPeft', `${name} is ${storedAs}, which is not read as a weight`)
  const [rows = 0, cols = 0] = shape
  return dequantizeRows({ dtype, rows, cols, bytes: await read() })
}

const loadPeftFields: FieldsOf<Omit<LoraDecoderOptions, 'lora' | 'seed'>> = {
  rule: true,
  from: true,
  precision: true,
  attention: true,
  checkpointing: true,
  tokenizer: true,
}

const savePeftFields: FieldsOf<NonNullable<Parameters<typeof savePeft>[2]>> = { base: true }
