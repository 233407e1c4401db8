import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { normalDraws } from '../counter-random.ts'

/**
 * The weights of a fresh decoder, one after the other, as a function of the seed, the name and the place: matrices and tables
 * from a normal distribution (deviation 0.02), those that end in the residual stream divided by √(2 · layers) (Radford et al.
 * 2019, GPT-2), norms that scale by 1, biases 0.
 */
export function initialWeight(
  spec: DecoderSpec,
  name: string,
  shape: readonly number[],
  { seed, deviation = 0.02 }: { readonly seed: number; readonly deviation?: number },
): Float32Array {
  const size = shape.reduce((product, extent) => product * extent, 1)
  if (name.endsWith('.bias')) return new Float32Array(size)
  if (shape.length === 1) return new Float32Array(size).fill(1 - normOffset(spec, name))
  const endsInResidual = /\.(attention\.output|mlp\.down)$/.test(name)
  const scale = endsInResidual ? 1 / Math.sqrt(2 * spec.layers.length) : 1
  return normalDraws(seed, hash(name), size, deviation * scale)
}

function normOffset(spec: DecoderSpec, name: string): number {
  const [, index, part = ''] = /^layers\.(\d+)\.(.*)$/.exec(name) ?? []
  const layer = index === undefined ? undefined : spec.layers[Number(index)]
  if (!layer) return spec.finalNorm.offset
  if (part.startsWith('attention')) return layer.attention.qkNorm?.norm.offset ?? 0
  const key = part.replace('norms.', '') as keyof typeof layer.norms
  return layer.norms[key]?.offset ?? 0
}

/** FNV-1a, 32 bits */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193)
  return h >>> 0
}
