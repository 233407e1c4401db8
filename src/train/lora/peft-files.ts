import type { Device } from '../../device/device.ts'
import { type LoraTarget, linearLayers } from '../../model/adapters/linear-layers.ts'
import { before, configFile, numbersOf, readPeft, weightsFile } from '../../model/adapters/read-peft.ts'
import { makeFolder } from '../../model/files/make-folder.ts'
import { writeAside } from '../../model/files/write-aside.ts'
import { type TensorToWrite, writeSafetensors } from '../../model/files/write-safetensors.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { createLoraDecoder, type LoraDecoder, type LoraDecoderOptions } from './lora-decoder.ts'
import type { LoraPlan } from './lora-options.ts'

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
  const peft = await readPeft(folder, options.from.spec, ignoreFields)
  try {
    const { rank, alpha, rankStabilised } = peft.config
    const lora = { rank, alpha, rankStabilised, targets: [...peft.factors.keys()] }
    const decoder = await createLoraDecoder(device, { ...options, lora })
    try {
      for (const [name, { a, b }] of peft.factors) {
        decoder.parameters.write(`${name}.loraA`, await numbersOf(a))
        decoder.parameters.write(`${name}.loraB`, await numbersOf(b))
      }
      return decoder
    } catch (error) {
      decoder.dispose()
      throw error
    }
  } finally {
    await peft.close()
  }
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
