import type { LayerSpec } from '../decoder-spec.ts'
import type { FileWeight, RowsOfTensor, WeightNames } from './architecture.ts'

type Part = (layer: LayerSpec) => RowsOfTensor

/**
 * Names of projections that a file keeps one after the other in one tensor: queries, keys and values of all heads, or
 * gate and up. `transposed`: the tensor is stored [inputs, outputs].
 */
export function rowsFrom(tensor: string, of: 'attention' | 'mlp', transposed = false): WeightNames {
  const fused = (part: Part): FileWeight => ({ tensor, part, transposed })
  if (of === 'mlp')
    return {
      'layers.N.mlp.gate': fused((layer) => consecutive([layer.mlp.size, layer.mlp.size], 0)),
      'layers.N.mlp.up': fused((layer) => consecutive([layer.mlp.size, layer.mlp.size], 1)),
    }
  return {
    'layers.N.attention.query': fused((layer) => consecutive(attentionRows(layer), 0)),
    'layers.N.attention.key': fused((layer) => consecutive(attentionRows(layer), 1)),
    'layers.N.attention.value': fused((layer) => consecutive(attentionRows(layer), 2)),
  }
}

/**
 * Names of queries, keys and values that a file keeps together, for each key/value head the query heads that share it, its
 * key and its value: [G, H / G + 2, D] rows. With as many heads of each, head by head (GPT-NeoX); with one key/value head,
 * all queries, the key, the value (Falcon 7B).
 */
export function rowsByGroup(tensor: string): WeightNames {
  const byGroup =
    (which: 'query' | 'key' | 'value'): Part =>
    ({ attention: { numHeads, numKvHeads, headDim } }) => {
      const queries = numHeads / numKvHeads
      const [first, own] = which === 'query' ? [0, queries] : which === 'key' ? [queries, 1] : [queries + 1, 1]
      return {
        rows: (numHeads + 2 * numKvHeads) * headDim,
        rowOf(row) {
          const head = Math.floor(row / headDim)
          const place = Math.floor(head / own) * (queries + 2) + first + (head % own)
          return place * headDim + (row % headDim)
        },
      }
    }
  return {
    'layers.N.attention.query': { tensor, part: byGroup('query') },
    'layers.N.attention.key': { tensor, part: byGroup('key') },
    'layers.N.attention.value': { tensor, part: byGroup('value') },
  }
}

/**
 * Rows of queries or keys that llama.cpp has reordered for rope over neighbours: in its files row 2i + s of a head is
 * what row i + s · D / 2 is in Hugging Face's, which all of this package follows.
 */
export function halvesOfPairs(numHeads: number, headDim: number): RowsOfTensor {
  const half = headDim / 2
  return {
    rows: numHeads * headDim,
    rowOf(row) {
      const within = row % headDim
      return row - within + 2 * (within % half) + Math.floor(within / half)
    },
  }
}

function attentionRows({ attention: { numHeads, numKvHeads, headDim } }: LayerSpec): readonly number[] {
  return [numHeads * headDim, numKvHeads * headDim, numKvHeads * headDim]
}

/** The rows of one of several matrices that lie one after the other. */
function consecutive(sizes: readonly number[], which: number): RowsOfTensor {
  const sum = (list: readonly number[]) => list.reduce((total, size) => total + size, 0)
  const start = sum(sizes.slice(0, which))
  return { rows: sum(sizes), rowOf: (row) => start + row }
}
