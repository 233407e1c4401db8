import type { Device } from '../../device/device.ts'
import type { Checkpoint } from '../../model/checkpoint.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { openCheckpoint } from '../../model/open-checkpoint.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { FoveaError } from '../../tile/index.ts'
import { attentionVariant } from '../attention-variants.ts'
import { decoderSpec, type ModelFields } from '../config/model-config.ts'
import type { TrainConfig } from '../config/train-config.ts'
import { createTrainableDecoder, type TrainableDecoder } from '../decoder/trainable-decoder.ts'
import { createLoraDecoder, type LoraDecoder } from '../lora/lora-decoder.ts'
import { type ChosenOptimizers, chooseOptimizers } from '../optimizers/choose-optimizers.ts'

/**
 * The model that a configuration describes, on the device: fresh, or from a checkpoint, or adapters over one. Rejects with `argument` for a
 * vocabulary that disagrees with the tokenizer's and rows longer than the positions, each with both numbers, and with what
 * `openCheckpoint` and `createTrainableDecoder` reject with.
 */
export async function runModel(
  device: Device,
  config: TrainConfig,
  tokenizer: Tokenizer | null,
): Promise<{ readonly model: TrainableDecoder | LoraDecoder; readonly chosen: ChosenOptimizers }> {
  const chosen = chooseOptimizers(config.optimizer)
  const options = {
    rule: chosen.rule,
    precision: config.precision,
    attention: attentionVariant(config.attention),
    checkpointing: config.checkpointing,
    ...(tokenizer && { tokenizer }),
  }
  if (typeof config.model !== 'string') {
    const spec = freshSpec(config.model, tokenizer)
    checkSpec(spec, config, tokenizer)
    const { seed, deviation } = config
    return { model: await createTrainableDecoder(device, { ...options, from: { spec, seed, deviation } }), chosen }
  }
  const checkpoint: Checkpoint = await openCheckpoint(config.model)
  try {
    checkSpec(checkpoint.spec, config, tokenizer)
    const { lora, seed } = config
    const from = { ...options, from: checkpoint }
    const model = lora
      ? await createLoraDecoder(device, { ...from, lora, seed })
      : await createTrainableDecoder(device, from)
    return { model, chosen }
  } finally {
    await checkpoint.close()
  }
}

/** What the configuration leaves open the tokenizer says. */
function freshSpec(fields: ModelFields, tokenizer: Tokenizer | null): DecoderSpec {
  const [bosToken, [eosToken]] = [tokenizer?.bosToken ?? null, tokenizer?.eosTokens ?? []]
  const known = {
    ...(tokenizer && { vocab_size: tokenizer.vocabSize }),
    ...(bosToken !== null && { bos_token_id: bosToken }),
    ...(eosToken !== undefined && { eos_token_id: eosToken }),
  }
  return decoderSpec({ ...known, ...fields })
}

function checkSpec(spec: DecoderSpec, { length, data }: TrainConfig, tokenizer: Tokenizer | null): void {
  const fault = (message: string) => new FoveaError('argument', 'runTraining', message)
  if (length > spec.maxPositions)
    throw fault(`length ${length} is longer than the ${spec.maxPositions} positions of the model`)
  const wanted = tokenizer?.vocabSize ?? Math.max(...data.map((part) => ('vocabSize' in part ? part.vocabSize : 0)))
  if (wanted > spec.vocabSize)
    throw fault(
      `the model has a vocabulary of ${spec.vocabSize}, ${tokenizer ? 'the tokenizer' : 'the task'} one of ${wanted}`,
    )
}
