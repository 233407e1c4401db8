import { bertMlp, bertNorm, bertWeights, checkBert } from './bert.ts'
import type { EncoderArchitecture } from './encoder-architecture.ts'
import { bertAttention, encoderSizes, plainEncoder, postNormLayer, tokenTypes } from './plain-encoder.ts'

/**
 * RoBERTa, XLM-RoBERTa and CamemBERT: BERT whose positions start behind the id of the padding token and skip tokens that are
 * it. Their classifier of one label is dense, tanh and projection over the first token.
 *
 * Liu et al.: RoBERTa, 2019, arXiv 1907.11692; Conneau et al.: XLM-R, 2020, arXiv 1911.02116.
 */
export const roberta: EncoderArchitecture = {
  name: 'roberta',
  modelTypes: ['roberta', 'xlm-roberta', 'camembert'],
  spec(config) {
    checkBert(config)
    const sizes = encoderSizes(config, 514)
    const padToken = config.token('pad_token_id') ?? 1
    const norm = bertNorm(config)
    const layer = postNormLayer(bertAttention(config, sizes.hiddenSize), bertMlp(config), norm)
    const maxPositions = sizes.maxPositions - padToken - 1
    if (maxPositions < 1)
      throw config.fault(
        'max_position_embeddings',
        `is ${sizes.maxPositions}, of which none are left behind pad_token_id ${padToken}`,
      )
    return plainEncoder('roberta', sizes, () => layer, {
      positions: { rows: sizes.maxPositions, first: padToken + 1, padToken },
      tokenTypes: tokenTypes(config, 1),
      norm,
      maxPositions,
    })
  },
  weights: bertWeights('roberta.'),
  classifier: () => ({
    spec: { pooling: 'cls', dense: { activation: 'tanh', bias: true }, norm: null, bias: true },
    names: { 'score.dense': 'classifier.dense', 'score.output': 'classifier.out_proj' },
  }),
}
