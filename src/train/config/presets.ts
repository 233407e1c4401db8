import type { JsonValue } from '../data/batch.ts'

export interface Preset {
  readonly says: string
  readonly config: Readonly<Record<string, JsonValue>>
}

/** Configurations to begin with: small enough to be read, and changed. */
export const presets: Readonly<Record<string, Preset>> = {
  tiny: {
    says: 'multi-query associative recall by two layers, minutes on two cores; beside it the same with a window of 8',
    config: {
      name: 'tiny',
      model: {
        model_type: 'gpt2',
        n_embd: 64,
        n_layer: 2,
        n_head: 1,
        n_inner: 64,
      },
      data: { task: 'mqar', vocabSize: 256, pairs: 4 },
      length: 64,
      batch: 32,
      // rows without gaps have four times as many answers among as many tokens
      stages: [{ until: 750, length: 16, batch: 128 }],
      steps: 1000,
      deviation: 0.1,
      optimizer: { name: 'adamw', learningRate: 0.003, weightDecay: 0, betas: [0.9, 0.98] },
      schedule: { name: 'warmup-stable-decay', warmup: 0.05, decay: 0.2 },
      evaluate: { every: 50, batches: 16 },
      compare: [{ name: 'window of 8', attention: 'window:8' }],
    },
  },
  books: {
    says: 'a language model of 16 M parameters that finds facts in 8,192 tokens, on a GPU: --texts FILE|FOLDER, or those beside this repository',
    config: {
      name: 'books',
      model: {
        model_type: 'qwen3',
        hidden_size: 384,
        num_hidden_layers: 8,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 64,
        intermediate_size: 1024,
        max_position_embeddings: 32768,
        rope_theta: 500000,
        rms_norm_eps: 1e-6,
        tie_word_embeddings: true,
      },
      tokenizer: { vocabSize: 8192 },
      data: [
        {
          texts: '../shared/texts/books-train.txt.xz',
          heldOut: ['../shared/texts/great-expectations.txt', '../shared/texts/moby-dick.txt'],
          share: 0.75,
        },
        {
          task: 'retrieval',
          form: 'dense',
          codes: [2, 16],
          questions: [4, 24],
          learn: 'all',
          prose: true,
          share: 0.25,
        },
      ],
      length: 8192,
      batch: 8,
      // recall forms in short rows, and reaches as far as the rows that follow
      stages: [
        { until: 1200, length: 1024, batch: 64 },
        { until: 1800, length: 2048, batch: 32 },
      ],
      steps: 2600,
      precision: 'f16',
      optimizer: {
        name: 'muon',
        learningRate: 0.02,
        weightDecay: 0.1,
        others: { learningRate: 0.003, betas: [0.9, 0.95] },
      },
      schedule: { name: 'warmup-stable-decay', warmup: 0.02, decay: 0.4 },
      evaluate: { every: 200, batches: 8 },
      save: { minutes: 4 },
      samples: { prompts: ['It was a dark and stormy night', '"My dear," said'], tokens: 80 },
    },
  },
}
