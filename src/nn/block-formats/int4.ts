// Weights of 4 bits in groups of neighbouring inputs, as AWQ (Lin et al. 2023, arXiv 2306.00978) and GPTQ (Frantar et al.
// 2022, arXiv 2210.17323) have them: y = scale · (q − zero). Their files keep each of the three in a tensor of its own; a block
// is put together where they are read: the f32 scale, the byte zero, the quants, two neighbours in a byte.
import { type BlockFormat, blockFormat } from './block-format.ts'

/** Bytes of a block before its quants: the scale, then the zero. */
export const int4Header = 5

function int4(elements: number): BlockFormat {
  return blockFormat({
    elements,
    bytes: int4Header + elements / 2,
    ggml: null,
    quants: { fields: [{ bits: 4, at: (i) => 8 * int4Header + 4 * i }] },
    group: elements,
    factor: { at: 0, as: 'f32' },
    offset: { kind: 'zero', number: { fields: [{ bits: 8, at: () => 32 }] } },
  })
}

export const [int4_32, int4_64, int4_128] = [int4(32), int4(64), int4(128)]
