import type { PagedTrial } from './paged-trial.ts'

const packed = { tileQ: 8, tileK: 16, padTo: 8, packHeads: true }
const mixed = [
  { qLength: 5, kLength: 37 },
  { qLength: 1, kLength: 70 },
  { qLength: 20, kLength: 20 },
]
const decode = [
  { qLength: 1, kLength: 37 },
  { qLength: 1, kLength: 130 },
  { qLength: 1, kLength: 1 },
]
const base = { H: 6, G: 2, D: 32, pageSize: 16, sequences: mixed, tiling: packed }
const few = { ...base, sequences: decode, tiling: { ...packed, tileQ: 3 } }
const slopes = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.7]
const logits = [0.3, -1.2, 2.5, 0, -4, 1]
const unpacked = { ...packed, packHeads: false }
const latent = { ...base, G: 1, D: 28, Dv: 20, latent: true, tiling: { ...packed, tileQ: 12, padTo: 16 } }
const latentDecode = { ...latent, sequences: decode, tiling: { ...latent.tiling, tileQ: 6, padTo: 8 } }
/** the widths of DeepSeek's models */
const deepSeek = { ...latent, H: 4, D: 576, Dv: 512, sequences: [{ qLength: 3, kLength: 37 }] }
const large = { tileQ: 16, tileK: 64, padTo: 8, packHeads: false }

/**
 * Steps that would expose a fault: tiles in one page and over several, mixed batches, single tokens, lengths on and beside
 * page and tile edges, windows, sinks and chunks that cut tiles, slopes and sink logits, segments, splits beyond what there is to split, every format, values of other widths than keys,
 * or in them.
 */
export const pagedTrials: readonly (PagedTrial & { readonly name: string })[] = [
  { name: 'prefill and decode in one step', ...base },
  { name: 'heads unpacked', ...base, tiling: { ...packed, packHeads: false } },
  { name: 'pages smaller than a tile', ...base, tiling: { ...packed, tileK: 32 }, spare: 2 },
  { name: 'pages of 64', ...base, pageSize: 64, tiling: large, sequences: [{ qLength: 18, kLength: 130 }] },
  { name: 'a page for all tokens: contiguous', ...base, pageSize: 256, sequences: [{ qLength: 9, kLength: 150 }] },
  { name: 'one head, one token', ...few, H: 1, G: 1, D: 40, sequences: [{ qLength: 1, kLength: 1 }] },
  { name: 'multi-query, width 24', ...few, H: 4, G: 1, D: 24, tiling: { ...packed, tileQ: 4, padTo: 16 } },
  { name: 'window', ...base, window: 9, sinks: 0 },
  { name: 'window of one, sinks', ...base, window: 1, sinks: 3, tiling: { ...packed, packHeads: false } },
  { name: 'window with sinks beyond a tile, split', ...base, window: 19, sinks: 17, splits: 3 },
  { name: 'soft cap', ...base, softCap: 1.5 },
  { name: 'slopes', ...base, alibiSlopes: slopes },
  { name: 'slopes, unpacked, window', ...base, alibiSlopes: slopes, window: 30, tiling: unpacked },
  { name: 'slopes, decode, split', ...few, alibiSlopes: slopes, splits: 4, tiling: { ...few.tiling, tileQ: 2 } },
  { name: 'sink logits', ...base, sinkLogits: logits },
  { name: 'sink logits, unpacked, soft cap', ...base, sinkLogits: logits, softCap: 2, tiling: unpacked },
  { name: 'sink logits, decode, window', ...few, sinkLogits: logits, window: 20 },
  { name: 'sink logits, decode, splits without keys', ...few, sinkLogits: logits, splits: 8 },
  { name: 'sink logits, slopes, split prefill', ...base, sinkLogits: logits, alibiSlopes: slopes, splits: 2 },
  { name: 'chunks', ...base, chunk: 24 },
  { name: 'chunks of whole tiles, unpacked', ...base, chunk: 32, tiling: unpacked },
  { name: 'chunks, decode, split', ...few, chunk: 50, splits: 3 },
  { name: 'chunks, window and sinks', ...base, chunk: 24, window: 9, sinks: 30, splits: 2 },
  { name: 'narrow values', ...base, D: 24, Dv: 16, tiling: { ...packed, padTo: 16 } },
  { name: 'wide values, decode, split', ...few, D: 12, Dv: 40, splits: 4 },
  { name: 'narrow values, q8, recent tokens', ...few, D: 24, Dv: 16, format: 'q8', recentTokens: 32, segments: 2 },
  {
    ...{ ...base, name: 'narrow values, q4, padded halves', D: 40, Dv: 24, format: 'q4', recentTokens: 16 },
    tiling: { ...packed, padTo: 16 },
  },
  { name: 'wide values, q4, split', ...few, D: 12, Dv: 24, format: 'q4', recentTokens: 16, splits: 2 },
  { name: 'latent', ...latent },
  { name: 'latent, unpacked, window', ...latent, window: 9, tiling: { ...latent.tiling, packHeads: false } },
  { name: 'latent, decode, split', ...latentDecode, splits: 4, format: 'f16', segments: 2 },
  { name: 'latent, q8, recent tokens', ...latentDecode, format: 'q8', recentTokens: 32, segments: 2 },
  { name: 'latent, q4, pages smaller than a tile', ...latent, format: 'q4', recentTokens: 16, pageSize: 4 },
  { name: 'latent, q4, split', ...latentDecode, format: 'q4', splits: 2 },
  {
    name: 'latent, bf16, multi-token decode',
    ...latentDecode,
    sequences: [{ qLength: 3, kLength: 50 }],
    format: 'bf16',
  },
  { name: 'latent of 512 + 64', ...deepSeek },
  {
    ...{ ...deepSeek, name: 'latent of 512 + 64, q8, decode, split', format: 'q8', splits: 2 },
    sequences: [{ qLength: 1, kLength: 37 }],
  },
  { name: 'latent of 512 + 64, q4, recent tokens', ...deepSeek, format: 'q4', recentTokens: 16 },
  { name: 'heads of 320, q4', ...base, H: 2, G: 1, D: 320, Dv: 600, format: 'q4', sequences: mixed.slice(0, 1) },
  { name: 'decode, splits without keys, spare items', ...few, splits: 8, spare: 5 },
  { name: 'decode, window and sinks', ...few, window: 20, sinks: 4, splits: 2 },
  { name: 'decode, two queries', ...few, sequences: [{ qLength: 2, kLength: 50 }], tiling: { ...packed, tileQ: 6 } },
  { name: 'two segments', ...base, segments: 2 },
  { name: 'three segments, pages smaller than a tile', ...base, segments: 3, tiling: { ...packed, tileK: 32 } },
  { name: 'f16', ...base, format: 'f16' },
  { name: 'f16, decode', ...few, format: 'f16', segments: 2 },
  { name: 'bf16, decode', ...few, format: 'bf16' },
  { name: 'q8', ...base, format: 'q8' },
  { name: 'q8, recent tokens', ...few, format: 'q8', recentTokens: 32, segments: 2 },
  {
    name: 'q8, recent tokens, pages smaller than a tile',
    ...few,
    format: 'q8',
    recentTokens: 24,
    tiling: { ...packed, tileQ: 3, tileK: 32 },
  },
  { name: 'q4', ...base, format: 'q4', splits: 2 },
  { name: 'q4, recent tokens', ...few, format: 'q4', recentTokens: 16 },
  { name: 'q4, padded halves', ...base, D: 24, format: 'q4', recentTokens: 16, tiling: { ...packed, padTo: 16 } },
]
