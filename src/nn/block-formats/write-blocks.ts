import { fromHalfBits, toHalfBits } from '../../tile/index.ts'
import { type BlockFormat, type FactorKind, type FittedBlock, writeNumber } from './block-format.ts'

/** Values as blocks, each as `fitBlock` has it. */
export function writeBlocks(
  format: BlockFormat,
  values: Float32Array,
  fitBlock: (block: Float32Array) => FittedBlock,
): Uint8Array {
  const { elements, bytes: blockBytes, groups, quantPlaces, scalePlaces, offsetPlaces, factor, offset } = format
  const bytes = new Uint8Array((values.length / elements) * blockBytes)
  const view = new DataView(bytes.buffer)
  for (let block = 0, at = 0; block < values.length; block += elements, at += blockBytes) {
    const fitted = fitBlock(values.subarray(block, block + elements))
    writeFactor(view, at + factor.at, factor.as, fitted.factor)
    if (offset && offset.kind !== 'zero') writeFactor(view, at + offset.at, 'f16', fitted.offset ?? 0)
    for (let g = 0; g < groups; g++) {
      if (scalePlaces) writeNumber(scalePlaces, bytes, at, g, fitted.scales?.[g] ?? 0)
      if (offsetPlaces) writeNumber(offsetPlaces, bytes, at, g, fitted.minima?.[g] ?? 0)
    }
    for (const { byteOf, shiftOf, mask, bit } of quantPlaces.fields)
      for (let i = 0; i < elements; i++) {
        const place = at + byteOf[i]!
        bytes[place] = bytes[place]! | (((fitted.quants[i]! >> bit) & mask) << shiftOf[i]!)
      }
  }
  return bytes
}

function writeFactor(view: DataView, at: number, as: FactorKind, value: number): void {
  if (as === 'f16') view.setUint16(at, toHalfBits(value), true)
  else if (as === 'f32') view.setFloat32(at, value, true)
  else view.setUint8(at, Math.log2(value) + 128)
}

/** x as f16 holds it. */
export function asHalf(x: number): number {
  return fromHalfBits(toHalfBits(x))
}
