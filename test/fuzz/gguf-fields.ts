/** Where a sound GGUF file has its counts, lengths, types, sizes and offsets: read apart from the reader that is tried. */
export function ggufFields(bytes: Uint8Array): { at: number; width: 4 | 8 }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const fields: { at: number; width: 4 | 8 }[] = []
  let at = 4
  const u32 = () => {
    fields.push({ at, width: 4 })
    at += 4
    return view.getUint32(at - 4, true)
  }
  const u64 = () => {
    fields.push({ at, width: 8 })
    at += 8
    return Number(view.getBigUint64(at - 8, true))
  }
  const text = () => {
    const length = u64()
    at += length
  }
  const scalarBytes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]
  const value = (type: number) => {
    if (type === 8) return text()
    if (type === 9) {
      const element = u32()
      const count = u64()
      // of a long list the first entries are enough
      const kept = fields.length + 8
      for (let i = 0; i < count; i++) {
        value(element)
        if (fields.length > kept) fields.length = kept
      }
      return
    }
    const width = scalarBytes[type] ?? 0
    if (width === 4 || width === 8) fields.push({ at, width })
    at += width
  }
  u32()
  const tensors = u64()
  const values = u64()
  for (let i = 0; i < values; i++) {
    text()
    value(u32())
  }
  for (let i = 0; i < tensors; i++) {
    text()
    const dims = u32()
    for (let d = 0; d < dims; d++) u64()
    u32()
    u64()
  }
  return fields
}
