export { createLoraDecoder, LoraDecoder, type LoraDecoderOptions } from './lora-decoder.ts'
export { type LoraOptions, type LoraPlan, type LoraTarget, linearLayers, planLora } from './lora-options.ts'
export { loadPeft, savePeft } from './peft-files.ts'
