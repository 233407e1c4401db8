import { type BlockMap, blockMap } from '../attention/block-map.ts'
import type { MaskMod } from '../attention/hooks.ts'
import { traceMask } from '../attention/traced-mask.ts'
import { readIntervals } from '../ir/interval.ts'

/** The block map of a mask, as kernels with these tiles stream it; the tracing of the mask is part of the work. */
export function maskMap(
  where: string,
  maskMod: MaskMod,
  size: { readonly queries: number; readonly keys: number; readonly tileQ: number; readonly tileK: number },
): BlockMap {
  const { root, variables } = traceMask(where, maskMod, () => 0)
  const mask = readIntervals(root, variables)
  const { queries: qLength, keys: kLength, tileQ, tileK } = size
  return blockMap({ qLength, kLength, tileQ, tileK, mask, heads: [0, 0], batch: 0 })
}
