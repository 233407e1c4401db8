import { describe, expect, it } from 'vitest'
import { smallConfig, smallSources, smallTokenizer } from '../../../test/files/small-model.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { fromHalfBits } from '../../tile/index.ts'
import { openCheckpointFromSources } from '../open-sources.ts'

const config = { ...smallConfig, hidden_size: 64, intermediate_size: 160 }
const layers: Readonly<Record<string, readonly [number, number]>> = {
  'self_attn.q_proj': [64, 64],
  'self_attn.k_proj': [32, 64],
  'self_attn.v_proj': [32, 64],
  'self_attn.o_proj': [64, 64],
  'mlp.gate_proj': [160, 64],
  'mlp.up_proj': [160, 64],
  'mlp.down_proj': [64, 160],
}
const plain: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens.weight': [3, 64],
  'model.norm.weight': [64],
  'model.layers.0.input_layernorm.weight': [64],
  'model.layers.0.post_attention_layernorm.weight': [64],
}
const down = 'model.layers.0.mlp.down_proj'

interface Tensor {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}
const floats = (shape: readonly number[], at: (i: number) => number): Tensor => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => at(i))
  return { dtype: 'F32', shape, bytes: new Uint8Array(values.buffer) }
}

/** A safetensors file of tensors of any dtype. */
function written(tensors: Readonly<Record<string, Tensor>>): Uint8Array<ArrayBuffer> {
  let at = 0
  const header = Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
    const entry = [name, { dtype, shape, data_offsets: [at, at + bytes.length] }]
    at += bytes.length
    return entry
  })
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer)
  return new Uint8Array(Buffer.concat([length, text, ...Object.values(tensors).map(({ bytes }) => bytes)]))
}

/** Bytes of all finite floats of 8 bits, in turn. */
const byteAt = (i: number, kind: 'F8_E4M3' | 'F8_E5M2') => {
  const byte = (i * 37) & 255
  const none = kind === 'F8_E4M3' ? 0x7f : 0x7c
  return (byte & none) === none ? byte & 0x83 : byte
}

function sources(
  kind: 'F8_E4M3' | 'F8_E5M2',
  scaleOf: (rows: number, cols: number) => readonly [name: string, tensor: Tensor],
  quantization_config: object,
  change: (tensors: Record<string, Tensor>) => void = () => {},
) {
  const tensors: Record<string, Tensor> = {}
  for (const [name, shape] of Object.entries(plain)) tensors[name] = floats(shape, (i) => Math.sin(i))
  for (const [name, [rows, cols]] of Object.entries(layers)) {
    const bytes = Uint8Array.from({ length: rows * cols }, (_, i) => byteAt(i, kind))
    tensors[`model.layers.0.${name}.weight`] = { dtype: kind, shape: [rows, cols], bytes }
    const [scale, tensor] = scaleOf(rows, cols)
    tensors[`model.layers.0.${name}.${scale}`] = tensor
  }
  change(tensors)
  return smallSources({
    'config.json': { ...config, quantization_config },
    'tokenizer.json': smallTokenizer,
    'model.safetensors': written(tensors),
  })
}

/** E4M3 by its definition: 2^(e − 7) · (1 + m / 8), below 2^−6 m · 2^−9; E5M2 is the upper byte of an f16. */
function floatOf(byte: number, kind: 'F8_E4M3' | 'F8_E5M2'): number {
  if (kind === 'F8_E5M2') return fromHalfBits(byte << 8)
  const [e, m] = [(byte >> 3) & 15, byte & 7]
  return (byte & 128 ? -1 : 1) * (e === 0 ? m * 2 ** -9 : 2 ** (e - 7) * (1 + m / 8))
}

const block = (rows: number, cols: number) => [Math.ceil(rows / 128), Math.ceil(cols / 128)]
const deepseek = { quant_method: 'fp8', fmt: 'e4m3', activation_scheme: 'dynamic', weight_block_size: [128, 128] }
const compressed = { quant_method: 'compressed-tensors', format: 'float-quantized', config_groups: { group_0: {} } }

describe.each(['F8_E4M3', 'F8_E5M2'] as const)('%s', (kind) => {
  it.each([
    ['tiles', 'weight_scale_inv', deepseek, block],
    ['rows', 'weight_scale', compressed, (rows: number) => [rows, 1]],
    ['the whole', 'weight_scale', compressed, () => [1]],
  ] as const)('weights are the floats times the scale of %s', async (of, name, setting, shapeOf) => {
    const checkpoint = await openCheckpointFromSources(
      sources(kind, (rows, cols) => [name, floats(shapeOf(rows, cols), (i) => 0.01 * (i + 1))], setting),
    )
    for (const [ours, theirs] of [
      ['mlp.up', 'mlp.up_proj'],
      ['mlp.down', 'mlp.down_proj'],
    ] as const) {
      const [rows, cols] = layers[theirs] as readonly [number, number]
      const matrix = await checkpoint.matrix(`layers.0.${ours}`)
      expect(matrix.dtype).toBe(`${kind.toLowerCase()}_32`)
      const got = dequantizeRows(matrix)
      const scaleAt = (row: number, k: number) =>
        of === 'rows' ? row : of === 'tiles' ? Math.floor(row / 128) * Math.ceil(cols / 128) + Math.floor(k / 128) : 0
      const wrong = got.findIndex((value, i) => {
        const scale = Math.fround(0.01 * (scaleAt(Math.floor(i / cols), i % cols) + 1))
        return value !== Math.fround(scale * floatOf(byteAt(i, kind), kind))
      })
      expect(wrong, `${theirs} [${rows}, ${cols}]`).toBe(-1)
    }
    await checkpoint.close()
  })
})

describe('floats of 8 bits are refused', () => {
  const scale = (rows: number, cols: number) => ['weight_scale_inv', floats(block(rows, cols), () => 1)] as const
  it.each<[string, (tensors: Record<string, Tensor>) => void, RegExp]>([
    [
      'without a scale',
      (tensors) => {
        delete tensors[`${down}.weight_scale_inv`]
      },
      /down_proj\.weight is F8_E4M3 and has no .*weight_scale_inv or .*weight_scale/,
    ],
    [
      'with a scale of another shape',
      (tensors) => {
        tensors[`${down}.weight_scale_inv`] = floats([2, 3], () => 1)
      },
      /weight_scale_inv must be \[1\], \[64, 1\] or \[1, 2\], got \[2, 3\]/,
    ],
    [
      'with a scale of integers',
      (tensors) => {
        tensors[`${down}.weight_scale_inv`] = { dtype: 'I32', shape: [1], bytes: new Uint8Array(4) }
      },
      /weight_scale_inv must be F32, BF16 or F16 .*, got I32/,
    ],
  ])('%s', async (_, change, message) => {
    const opened = openCheckpointFromSources(sources('F8_E4M3', scale, deepseek, change))
    await expect(opened).rejects.toMatchObject({ code: 'format', message: expect.stringMatching(message) })
  })

  it('where one of them is no number, naming it', async () => {
    const checkpoint = await openCheckpointFromSources(
      sources('F8_E4M3', scale, deepseek, (tensors) => {
        ;(tensors[`${down}.weight`] as Tensor).bytes[163] = 0xff
      }),
    )
    await expect(checkpoint.matrix('layers.0.mlp.down')).rejects.toThrow('row 1, column 3 is no finite number')
    await checkpoint.close()
  })

  it.each<[object, RegExp]>([
    [{ ...compressed, format: 'pack-quantized' }, /quantization_config\.format is "pack-quantized"/],
    [
      { ...compressed, sparsity_config: { format: 'sparse-24-bitmask' } },
      /sparsity_config\.format is "sparse-24-bitmask"/,
    ],
    [{ ...deepseek, fmt: 'e3m4' }, /quantization_config\.fmt is "e3m4"/],
    [{ ...deepseek, rotation: 'x' }, /quantization_config\.rotation is "x"/],
  ])('with %o', async (setting, message) => {
    const opened = openCheckpointFromSources(sources('F8_E4M3', scale, setting))
    await expect(opened).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(message) })
  })
})
