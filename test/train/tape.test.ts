import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prepareTrainableAttention } from '../../src/attention/index.ts'
import { causal } from '../../src/attention/masks/causal.ts'
import { type Device, openDevice, type Tensor } from '../../src/device/index.ts'
import { placeRope } from '../../src/model/place-rope.ts'
import { gelu, silu } from '../../src/nn/activations.ts'
import { normalDraws } from '../../src/train/counter-random.ts'
import { adamw } from '../../src/train/optimizers/adamw.ts'
import { ParameterStore } from '../../src/train/parameter-store.ts'
import { sortIds } from '../../src/train/tape/embedding.ts'
import type { TapeNorm } from '../../src/train/tape/norm.ts'
import { Tape } from '../../src/train/tape/tape.ts'
import type { Variable } from '../../src/train/tape/variable.ts'
import type { PreparedModel, StepInputs, StepShape, TrainableModel } from '../../src/train/trainable-model.ts'
import { createTrainer } from '../../src/train/trainer.ts'
import { Workspace } from '../../src/train/workspace.ts'
import { countingSource } from './small-decoder.ts'

const [B, T, H, D, V] = [2, 7, 2, 6, 11]
const C = H * D
const N = B * T

const shapes: Readonly<Record<string, readonly number[]>> = {
  table: [V, C],
  gain: [C],
  'gain.bias': [C],
  qkv: [C, C],
  'qkv.bias': [C],
  up: [10, C],
  down: [C, 5],
  wide: [8, C],
  narrow: [C, 8],
  rms: [C],
  head: [V, C],
  slopes: [H],
}

let device: Device
let store: ParameterStore
let workspace: Workspace
const owned: { dispose(): void }[] = []
beforeAll(async () => {
  // values in float64, rounded to f32 where they are stored: differences of losses keep five digits
  device = await openDevice('interpret')
  store = new ParameterStore(device, {
    blocks: Object.entries(shapes).map(([name, shape]) => [{ name, shape }]),
  })
  for (const [i, name] of Object.keys(shapes).entries()) {
    const size = (shapes[name] as readonly number[]).reduce((a, b) => a * b, 1)
    store.write(name, normalDraws(5, i, size, 0.5))
  }
  workspace = new Workspace(device)
})
afterAll(() => device.dispose())

/** A network that meets every operation, some values twice, on a tape of its own; gives the sum of the losses. */
async function network(recording: boolean, checkpointed = false): Promise<number> {
  const keep = (tensor: Tensor) => {
    owned.push(tensor)
    return tensor
  }
  const integers = (data: Int32Array) => keep(device.tensor(data, [data.length]))
  const ids = Int32Array.from({ length: N }, (_, i) => (i * i * 3) % V)
  const { order, starts } = sortIds(ids, V)
  const rope = placeRope(
    device,
    { rotaryDim: 4, interleaved: false, inverseFrequencies: [1, 0.1], attentionFactor: 1.1 },
    T,
  )
  const positions = integers(Int32Array.from({ length: N }, (_, i) => i % T))
  const headSpec = { dtype: 'f32', shape: [B, T, H, D], strides: [T * C, C, D, 1], offset: 0 } as const
  const slopes = store.get('slopes')
  const kernel = await prepareTrainableAttention(device, {
    ...{ query: headSpec, key: headSpec, value: headSpec, maskMod: causal },
    scoreMod: ({ score, q, k, head }) => score.mul(0.7).add(q.sub(k).mul(slopes.weight.at(head))),
  })
  const layer: TapeNorm = {
    spec: { kind: 'layer', eps: 1e-5, offset: 0, bias: true },
    weight: store.get('gain'),
    bias: store.get('gain.bias'),
  }
  const rms: TapeNorm = {
    spec: { kind: 'rms', eps: 1e-6, offset: 1, bias: false },
    weight: store.get('rms'),
    bias: null,
  }

  const tape = new Tape(workspace, { recording })
  const x = tape.embed({
    table: store.get('table'),
    rows: { ids: integers(ids), order: integers(order), starts: integers(starts) },
    scale: 1.3,
    dtype: 'f32',
  })
  const h = tape.norm(x, layer)
  const qkv = tape.linear(h, store.get('qkv'), store.get('qkv.bias'))
  const turned = tape.reshape(tape.rotate(tape.reshape(qkv, [N, H, D]), rope, positions), [B, T, H, D])
  const attended = tape.attention(
    { query: turned, key: turned, value: tape.reshape(qkv, [B, T, H, D]) },
    kernel,
    new Map([[slopes.weight, slopes]]),
  )
  const sum = tape.add(tape.reshape(attended, [N, C]), x)
  const block = (inner: Tape, x: Variable) => {
    const gated = inner.linear(inner.gated(inner.linear(x, store.get('up')), silu), store.get('down'))
    return inner.residual(x, gated)
  }
  const mixed = checkpointed ? tape.checkpoint(sum, block) : block(tape, sum)
  const activated = tape.linear(tape.activation(tape.linear(mixed, store.get('wide')), gelu), store.get('narrow'))
  const hidden = tape.norm(tape.residual(mixed, activated), rms)
  const losses = keep(device.empty([N]))
  const targets = integers(Int32Array.from({ length: N }, (_, i) => (i % 4 === 3 ? -1 : (i * 5) % V)))
  const head = { weight: store.get('head'), bias: null, softCap: 3 }
  tape.crossEntropy(hidden, { head, targets, factor: keep(device.tensor([1], [1])), losses })
  if (recording) tape.backward()
  else tape.finish()
  workspace.releaseViews()
  const values = (await losses.read()) as Float32Array
  kernel.dispose()
  rope.dispose()
  for (const thing of owned.splice(0)) thing.dispose()
  return values.reduce((total, loss) => total + loss, 0)
}

const clear = () => {
  for (const { gradient } of store.groups) gradient.write(new Float32Array(gradient.size))
}

describe('a tape', () => {
  it('finds the derivative of the loss along any direction of any parameter', async () => {
    clear()
    await network(true)
    expect(workspace.bytes.inUse).toBe(0)
    for (const [i, name] of store.names.entries()) {
      const gradient = (await store.get(name).gradient?.read()) as Float32Array
      const start = await store.read(name)
      const direction = normalDraws(9, i, start.length, 1)
      const step = 2e-3
      const along = async (size: number) => {
        store.write(
          name,
          start.map((w, j) => w + size * (direction[j] as number)),
        )
        return network(false)
      }
      const difference = ((await along(step)) - (await along(-step))) / (2 * step)
      store.write(name, start)
      const slope = direction.reduce((sum, d, j) => sum + d * (gradient[j] as number), 0)
      const size = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0))
      expect(size, name).toBeGreaterThan(0.01)
      expect(Math.abs(difference - slope) / (size + 1), `${name}: ${difference} and ${slope}`).toBeLessThan(2e-3)
    }
  })

  it('adds to gradients, and finds the same with values computed again', async () => {
    const read = () => Promise.all(store.groups.map(({ gradient }) => gradient.read()))
    clear()
    await network(true)
    const once = await read()
    await network(true)
    const twice = await read()
    for (const [g, group] of once.entries())
      for (const [i, value] of group.entries())
        expect(Math.abs((twice[g]?.[i] ?? 0) - 2 * value)).toBeLessThan(1e-5 * (1 + Math.abs(value)))
    clear()
    await network(true, true)
    expect(await read()).toEqual(once)
    expect(workspace.bytes.inUse).toBe(0)
  })

  it('says what was given away', () => {
    const tape = new Tape(workspace)
    const x = tape.input(device.zeros([2, C]))
    const y = tape.norm(x, {
      spec: { kind: 'rms', eps: 1e-6, offset: 0, bias: false },
      weight: store.get('rms'),
      bias: null,
    })
    const sum = tape.residual(x, y)
    expect(() => y.value).toThrow(/variable.value: the value \[2, 12\] was released/)
    tape.activation(sum, silu)
    expect(() => tape.residual(x, sum)).toThrow(/tape.residual: the memory of \[2, 12\] cannot be written over/)
    expect(() => workspace.give(x.value)).toThrow(/workspace.give: .* is not out of this workspace/)
    tape.finish()
  })
})

/** The next token from the last one, through one gated layer. */
class Bigram implements TrainableModel {
  readonly vocabSize = 61
  readonly precision = 'f32'
  readonly description = { architecture: 'bigram' }
  readonly parameters: ParameterStore

  constructor(on: Device) {
    const sizes = { table: [61, 16], up: [32, 16], down: [16, 16] }
    const blocks = Object.entries(sizes).map(([name, shape]) => [{ name, shape }])
    this.parameters = new ParameterStore(on, { blocks })
    for (const [i, name] of this.parameters.names.entries())
      this.parameters.write(name, normalDraws(1, i, this.parameters.get(name).weight.size, 0.3))
  }

  async prepare(_shape: StepShape, { tokens }: StepInputs): Promise<PreparedModel> {
    const weight = (name: string) => this.parameters.get(name)
    return {
      hidden(tape) {
        const x = tape.embed({ table: weight('table'), rows: tokens, dtype: 'f32' })
        return tape.residual(x, tape.linear(tape.gated(tape.linear(x, weight('up')), silu), weight('down')))
      },
      head: { weight: weight('table'), bias: null, softCap: null },
      bytes: 0,
      dispose() {},
    }
  }
}

it('a model of a few lines is trained', async () => {
  const wasm = await openDevice('wasm')
  const model = new Bigram(wasm)
  const source = countingSource()
  const trainer = await createTrainer({ device: wasm, model, source, optimizer: adamw(), learningRate: 0.03 })
  const losses: number[] = []
  for (let step = 0; step < 30; step++) losses.push((await trainer.step()).loss)
  expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] as number))
  wasm.dispose()
})
