import { describe, expect, it } from 'vitest'
import { smallConfig, smallSources, smallTokenizer } from '../../../test/files/small-model.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { dequantizeRows } from '../../nn/block-formats/matrix-values.ts'
import { toHalfBits } from '../../tile/index.ts'
import { writeSafetensors } from '../files/write-safetensors.ts'
import { openCheckpointFromSources } from '../open-sources.ts'

const config = {
  ...smallConfig,
  hidden_size: 64,
  intermediate_size: 128,
  num_attention_heads: 2,
  num_key_value_heads: 1,
}
/** [outputs, inputs] of the linear layers */
const layers: Readonly<Record<string, readonly [number, number]>> = {
  'self_attn.q_proj': [64, 64],
  'self_attn.k_proj': [32, 64],
  'self_attn.v_proj': [32, 64],
  'self_attn.o_proj': [64, 64],
  'mlp.gate_proj': [128, 64],
  'mlp.up_proj': [128, 64],
  'mlp.down_proj': [64, 128],
}
const plain: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens.weight': [3, 64],
  'model.norm.weight': [64],
  'model.layers.0.input_layernorm.weight': [64],
  'model.layers.0.post_attention_layernorm.weight': [64],
}

interface Tensor {
  readonly dtype: 'f32' | 'f16' | 'i32'
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}
const tensor = (dtype: Tensor['dtype'], shape: readonly number[], data: ArrayBufferView): Tensor => ({
  dtype,
  shape,
  bytes: new Uint8Array(data.buffer as ArrayBuffer),
})

/** Packs numbers of 4 bits as each kind's own tools do, one at a time; gives the tensors and the weights that they mean. */
function packed(kind: 'gptq' | 'awq', rows: number, cols: number, group: number, random: () => number) {
  const draw = (most: number) => Math.floor(((random() + 1) / 2) * most)
  const groups = cols / group
  const q = Array.from({ length: rows }, () => Array.from({ length: cols }, () => draw(16)))
  const z = Array.from({ length: groups }, () => Array.from({ length: rows }, () => draw(15)))
  const s = Array.from({ length: groups }, () => Array.from({ length: rows }, () => (1 + draw(64)) / 1024))
  const order = [0, 2, 4, 6, 1, 3, 5, 7]
  /** eight neighbouring columns of a row as a word */
  const word = (at: (i: number) => number) => {
    let bits = 0
    for (let i = 0; i < 8; i++) bits |= at(kind === 'awq' ? order[i]! : i) << (4 * i)
    return bits
  }
  const zeros = new Int32Array((groups * rows) / 8).map((_, i) => {
    const [g, n] = [Math.floor(i / (rows / 8)), (i % (rows / 8)) * 8]
    return word((j) => z[g]![n + j]!)
  })
  const quants =
    kind === 'awq'
      ? new Int32Array((cols * rows) / 8).map((_, i) => {
          const [k, n] = [Math.floor(i / (rows / 8)), (i % (rows / 8)) * 8]
          return word((j) => q[n + j]![k]!)
        })
      : new Int32Array((cols * rows) / 8).map((_, i) => {
          const [k, n] = [Math.floor(i / rows) * 8, i % rows]
          return word((j) => q[n]![k + j]!)
        })
  const weights = q.map((row, n) =>
    row.map((quant, k) => {
      const g = Math.floor(k / group)
      return s[g]![n]! * (quant - (z[g]![n]! + (kind === 'gptq' ? 1 : 0)))
    }),
  )
  return {
    weights: weights.flat(),
    tensors: {
      qweight: tensor('i32', kind === 'awq' ? [cols, rows / 8] : [cols / 8, rows], quants),
      qzeros: tensor('i32', [groups, rows / 8], zeros),
      scales: tensor('f16', [groups, rows], Uint16Array.from(s.flat(), toHalfBits)),
      ...(kind === 'gptq' && {
        g_idx: tensor(
          'i32',
          [cols],
          Int32Array.from({ length: cols }, (_, k) => Math.floor(k / group)),
        ),
      }),
    } as Record<string, Tensor>,
  }
}

async function files(
  kind: 'gptq' | 'awq',
  group: number,
  change: (tensors: Record<string, Tensor>) => void = () => {},
  setting: Readonly<Record<string, unknown>> = {},
) {
  const random = randomNumbers(4)
  const all: Record<string, Tensor> = {}
  const weights = new Map<string, number[]>()
  for (const [name, shape] of Object.entries(plain))
    all[name] = tensor(
      'f32',
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random()),
    )
  for (const [name, [rows, cols]] of Object.entries(layers)) {
    const made = packed(kind, rows, cols, group, random)
    weights.set(name, made.weights)
    for (const [part, value] of Object.entries(made.tensors)) all[`model.layers.0.${name}.${part}`] = value
  }
  change(all)
  const chunks: Uint8Array[] = []
  await writeSafetensors(
    { write: async (bytes) => void chunks.push(bytes.slice()) },
    Object.entries(all).map(([name, { dtype, shape, bytes }]) => ({ name, dtype, shape, read: async () => bytes })),
  )
  const quantization_config = { quant_method: kind, bits: 4, group_size: group, ...setting }
  const sources = () =>
    smallSources({
      'config.json': { ...config, quantization_config },
      'tokenizer.json': smallTokenizer,
      'model.safetensors': new Uint8Array(Buffer.concat(chunks)),
    })
  return { sources, weights }
}

describe.each(['gptq', 'awq'] as const)('%s', (kind) => {
  it.each([32, 64])('weights in groups of %d are what its tools packed, and stay packed', async (group) => {
    const { sources, weights } = await files(kind, group)
    const checkpoint = await openCheckpointFromSources(sources())
    for (const [ours, theirs] of [
      ['attention.query', 'self_attn.q_proj'],
      ['attention.value', 'self_attn.v_proj'],
      ['mlp.down', 'mlp.down_proj'],
    ] as const) {
      const matrix = await checkpoint.matrix(`layers.0.${ours}`)
      expect(matrix.dtype).toBe(`int4_${group}`)
      expect([...dequantizeRows(matrix)]).toEqual((weights.get(theirs) as number[]).map((x) => expect.closeTo(x, 6)))
    }
    await checkpoint.close()
  })

  const down = 'model.layers.0.mlp.down_proj'
  it.each<[string, (tensors: Record<string, Tensor>) => void, RegExp]>([
    [
      'without scales',
      (tensors) => {
        delete tensors[`${down}.scales`]
      },
      /down_proj\.qweight has no model\.layers\.0\.mlp\.down_proj\.scales/,
    ],
    [
      'with scales of other groups',
      (tensors) => {
        tensors[`${down}.scales`] = tensor('f16', [2, 64], new Uint16Array(128))
      },
      /down_proj\.scales must be f16 or bf16 or f32 \[4, 64\], got F16 \[2, 64\]/,
    ],
    [
      'with zeros that are no words',
      (tensors) => {
        tensors[`${down}.qzeros`] = tensor('f32', [4, 8], new Float32Array(32))
      },
      /down_proj\.qzeros must be i32 \[4, 8\], got F32 \[4, 8\]/,
    ],
  ])('is refused %s', async (_, change, message) => {
    const { sources } = await files(kind, 32, change)
    const opened = openCheckpointFromSources(sources())
    await expect(opened).rejects.toMatchObject({ code: 'format', message: expect.stringMatching(message) })
  })

  it.each<[Readonly<Record<string, unknown>>, RegExp]>([
    [{ bits: 8 }, /quantization_config\.bits is 8/],
    [{ quant_method: 'hqq' }, /quantization_config\.quant_method is "hqq", which is not read; gptq and awq of 4 bits/],
    [
      kind === 'awq' ? { version: 'gemv' } : { checkpoint_format: 'marlin' },
      /quantization_config\.(version is "gemv"|checkpoint_format is "marlin")/,
    ],
    [{ rotation: 'hadamard' }, /quantization_config\.rotation is "hadamard"/],
  ])('is refused with %o', async (setting, message) => {
    const { sources } = await files(kind, 32, () => {}, setting)
    const opened = openCheckpointFromSources(sources())
    await expect(opened).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(message) })
  })
})

it('gptq: inputs in another order are refused by the tensor that says so', async () => {
  const { sources } = await files('gptq', 32, (tensors) => {
    const groups = Int32Array.from({ length: 128 }, (_, k) => k % 4)
    tensors['model.layers.0.mlp.down_proj.g_idx'] = tensor('i32', [128], groups)
  })
  const checkpoint = await openCheckpointFromSources(sources())
  await expect(checkpoint.matrix('layers.0.mlp.down')).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/down_proj\.g_idx: input 1 is of group 1: inputs in another order \(desc_act\)/),
  })
  await checkpoint.close()
})
