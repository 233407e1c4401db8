import type { AttentionShape } from './peer.ts'

/**
 * The bytes of an ONNX model of one node: `com.microsoft` MultiHeadAttention over f32, inputs `query`, `key`, `value`
 * and output `output`, each `[batch, tokens, numHeads * headDim]`. `unidirectional` makes it causal.
 *
 * Field numbers are those of onnx.proto3 (IR version 8).
 */
export function attentionModel({ batch, numHeads, tokens, headDim, causal }: AttentionShape): Uint8Array {
  const dims = [batch, tokens, numHeads * headDim]
  const node = [
    ...['query', 'key', 'value'].flatMap((name) => text(1, name)),
    ...text(2, 'output'),
    ...text(4, 'MultiHeadAttention'),
    ...message(5, intAttribute('num_heads', numHeads)),
    ...message(5, intAttribute('unidirectional', causal ? 1 : 0)),
    ...text(7, 'com.microsoft'),
  ]
  const graph = [
    ...message(1, node),
    ...text(2, 'attention'),
    ...['query', 'key', 'value'].flatMap((name) => message(11, tensorInfo(name, dims))),
    ...message(12, tensorInfo('output', dims)),
  ]
  return new Uint8Array([
    ...integer(1, 8),
    ...message(7, graph),
    ...message(8, [...text(1, ''), ...integer(2, 17)]),
    ...message(8, [...text(1, 'com.microsoft'), ...integer(2, 1)]),
  ])
}

/** AttributeProto: name, i, type INT. */
function intAttribute(name: string, value: number): number[] {
  return [...text(1, name), ...integer(3, value), ...integer(20, 2)]
}

/** ValueInfoProto of a float tensor: name, type { tensor_type { elem_type FLOAT, shape } }. */
function tensorInfo(name: string, dims: readonly number[]): number[] {
  const shape = dims.flatMap((size) => message(1, integer(1, size)))
  return [...text(1, name), ...message(2, message(1, [...integer(1, 1), ...message(2, shape)]))]
}

// protobuf: a field is its number and wire type in one varint (0 varint, 2 length-delimited), then its content

function integer(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)]
}

function message(field: number, content: readonly number[]): number[] {
  return [...varint((field << 3) | 2), ...varint(content.length), ...content]
}

function text(field: number, value: string): number[] {
  return message(field, [...new TextEncoder().encode(value)])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest & 127) | 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}
