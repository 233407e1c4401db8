import type { TrainableAttention } from '../attention/trainable-attention.ts'

/** What mixes tokens: query [B, T, H, D], key and value [B, T, Hkv, D] to output [B, T, H, D], with its gradients. */
export type AttentionKernel = Pick<TrainableAttention, 'forward' | 'backward' | 'scratchBytes' | 'dispose'>
