import { FoveaError } from '../../tile/index.ts'
import { afmoe } from './afmoe.ts'
import { apertus } from './apertus.ts'
import { arcee } from './arcee.ts'
import type { Architecture } from './architecture.ts'
import { bloom } from './bloom.ts'
import { cohere, cohere2 } from './cohere.ts'
import { cohere2Moe } from './cohere2-moe.ts'
import { deepseekV2, deepseekV3, glm4MoeLite } from './deepseek.ts'
import { dots1 } from './dots1.ts'
import { ernie45 } from './ernie4-5.ts'
import { ernie45Moe } from './ernie4-5-moe.ts'
import { exaoneMoe } from './exaone-moe.ts'
import { exaone4 } from './exaone4.ts'
import { falcon } from './falcon.ts'
import { gemma } from './gemma.ts'
import { gemma2 } from './gemma2.ts'
import { gemma3n } from './gemma3n.ts'
import { gemma4 } from './gemma4.ts'
import { glm, glm4 } from './glm.ts'
import { glm4Moe } from './glm4-moe.ts'
import { gptBigcode } from './gpt-bigcode.ts'
import { gptNeo } from './gpt-neo.ts'
import { gptNeox } from './gpt-neox.ts'
import { gptOss } from './gpt-oss.ts'
import { gpt2 } from './gpt2.ts'
import { gptj } from './gptj.ts'
import { granite } from './granite.ts'
import { graniteMoe } from './granite-moe.ts'
import { hunyuan } from './hunyuan.ts'
import { hyV3 } from './hy-v3.ts'
import { laguna } from './laguna.ts'
import { llama4 } from './llama4.ts'
import { mimoV2 } from './mimo-v2.ts'
import { minicpm3 } from './minicpm3.ts'
import { minimaxM2 } from './minimax-m2.ts'
import { ministral, ministral3 } from './ministral.ts'
import { mixtral } from './mixtral.ts'
import { mpt } from './mpt.ts'
import { nanochat } from './nanochat.ts'
import { nemotron } from './nemotron.ts'
import { olmo } from './olmo.ts'
import { olmo2 } from './olmo2.ts'
import { olmo3 } from './olmo3.ts'
import { olmoe } from './olmoe.ts'
import { opt } from './opt.ts'
import { phi } from './phi.ts'
import { phi3 } from './phi3.ts'
import { phimoe } from './phimoe.ts'
import { qwen2Moe } from './qwen2-moe.ts'
import { qwen3Moe } from './qwen3-moe.ts'
import { seedOss } from './seed-oss.ts'
import { smollm3 } from './smollm3.ts'
import { stablelm } from './stablelm.ts'
import { starcoder2 } from './starcoder2.ts'
import { namesIn, usualArchitectures } from './usual-architectures.ts'

/** All that are known. */
export const architectures: readonly Architecture[] = [
  ...usualArchitectures,
  phi3,
  gemma2,
  gpt2,
  smollm3,
  gptNeox,
  olmo2,
  apertus,
  arcee,
  bloom,
  cohere,
  cohere2,
  ernie45,
  exaone4,
  falcon,
  gemma,
  glm,
  glm4,
  gptBigcode,
  gptNeo,
  gptj,
  granite,
  hunyuan,
  ministral,
  ministral3,
  mpt,
  nanochat,
  nemotron,
  olmo,
  olmo3,
  opt,
  phi,
  seedOss,
  stablelm,
  starcoder2,
  minicpm3,
  mixtral,
  qwen2Moe,
  qwen3Moe,
  gptOss,
  graniteMoe,
  glm4Moe,
  phimoe,
  olmoe,
  dots1,
  ernie45Moe,
  minimaxM2,
  hyV3,
  llama4,
  exaoneMoe,
  mimoV2,
  afmoe,
  laguna,
  cohere2Moe,
  gemma4,
  gemma3n,
  deepseekV2,
  deepseekV3,
  glm4MoeLite,
]

/** The architecture of a `model_type` (config.json) or `general.architecture` (GGUF). Throws `format` with those known. */
export function findArchitecture(file: string, field: 'model_type' | 'general.architecture', name: string) {
  const namesOf = namesIn(field)
  const found = architectures.find((architecture) => namesOf(architecture).includes(name))
  if (found) return found
  const known = [...new Set(architectures.flatMap(namesOf))].join(', ')
  throw new FoveaError(
    'format',
    'openCheckpoint',
    `${file}: ${field} is the unknown architecture "${name}"; known are ${known}; encoders, such as bert, are opened by openEmbedder`,
  )
}
