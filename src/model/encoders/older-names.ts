import type { TensorTable } from '../files/tensor-table.ts'

/** A table whose norms are found by `weight` and `bias` where the file calls them `gamma` and `beta`, as files of BERT's first years do. */
export function withOlderNames(table: TensorTable): TensorTable {
  if (!table.names().some((name) => name.endsWith('LayerNorm.gamma'))) return table
  const stored = (name: string) =>
    table.has(name)
      ? name
      : name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta')
  return {
    source: table.source,
    metadata: table.metadata,
    names: () => table.names(),
    has: (name) => table.has(stored(name)),
    get: (name) => table.get(stored(name)),
    fingerprint: () => table.fingerprint(),
    close: () => table.close(),
  }
}
