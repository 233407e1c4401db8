import type { StorageFormat } from './storage-format.ts'

const words = (buffer: string, address: string) => `${buffer}[u32(${address}) >> 3u]`

/** f16 tensors that are only read, with rows at multiples of eight elements: eight at a time. */
export const wideHalves: StorageFormat = {
  declared: 'vec4<u32>',
  chunked: true,
  loadElement: (_, buffer, address) =>
    `f32(bitcast<vec2<f16>>(${words(buffer, address)}[(u32(${address}) >> 1u) & 3u])[u32(${address}) & 1u])`,
  loadChunk: (w, buffer, address) => {
    const all = w.declare(words(buffer, address), 'words')
    return `vec4<f32>(bitcast<vec4<f16>>(select(${all}.xy, ${all}.zw, (u32(${address}) & 4u) != 0u)))`
  },
  storeElement: () => {
    throw new Error('wideHalves: for tensors that are read')
  },
  storeChunk: () => {
    throw new Error('wideHalves: for tensors that are read')
  },
}
