import { type WeightDType, weightBlock } from '../../nn/weight-data.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { rewrittenMatrix } from '../rewritten-matrix.ts'
import { numbersOf, type PeftAdapters, readPeft } from './read-peft.ts'

/**
 * A checkpoint with the adapters of PEFT folders added to its matrices as they are read: W + Σ scale · B · A (Hu et al. 2021,
 * arXiv 2106.09685). Matrices of plain floats keep their dtype; blocks, which are coarser than an adapter, become Q8_0.
 * Closing it closes base and adapters. Throws what `readPeft` throws, after closing what was opened.
 */
export async function adaptedCheckpoint(checkpoint: Checkpoint, folders: readonly string[]): Promise<Checkpoint> {
  const adapters: PeftAdapters[] = []
  const closeAdapters = async () => {
    for (const adapter of adapters) await adapter.close()
  }
  let prints = ''
  try {
    for (const folder of folders) {
      const adapter = await readPeft(folder, checkpoint.spec)
      adapters.push(adapter)
      prints += `-${await adapter.fingerprint()}-${adapter.scale}`
    }
  } catch (error) {
    await closeAdapters()
    throw error
  }
  const own = (name: string) => adapters.filter(({ factors }) => factors.has(name))
  const dtypeOf = (name: string): WeightDType => {
    const { dtype } = checkpoint.matrixInfo(name)
    return own(name).length > 0 && weightBlock[dtype].elements > 1 ? 'q8_0' : dtype
  }
  const { matrixRows: _, ...rest } = checkpoint
  return {
    ...rest,
    fingerprint: checkpoint.fingerprint + prints,
    matrixInfo: (name) => ({ ...checkpoint.matrixInfo(name), dtype: dtypeOf(name) }),
    async matrix(name) {
      const updates: { a: Float32Array; b: Float32Array; scale: number }[] = []
      for (const { factors, scale } of own(name)) {
        const found = factors.get(name)
        if (found) updates.push({ a: await numbersOf(found.a), b: await numbersOf(found.b), scale })
      }
      if (updates.length === 0) return checkpoint.matrix(name)
      const { cols } = checkpoint.matrixInfo(name)
      return rewrittenMatrix(checkpoint, name, dtypeOf(name), (values, from) => {
        for (const { a, b, scale } of updates) addProduct(values, from, cols, a, b, scale)
      })
    },
    async close() {
      await closeAdapters()
      await checkpoint.close()
    },
  }
}

/** values (rows from `from` on) += scale · B · A */
function addProduct(
  values: Float32Array,
  from: number,
  cols: number,
  a: Float32Array,
  b: Float32Array,
  scale: number,
): void {
  const rank = a.length / cols
  for (let row = 0; row < values.length / cols; row++)
    for (let r = 0; r < rank; r++) {
      const factor = scale * (b[(from + row) * rank + r] ?? 0)
      if (factor === 0) continue
      for (let k = 0; k < cols; k++) values[row * cols + k]! += factor * (a[r * cols + k] ?? 0)
    }
}
