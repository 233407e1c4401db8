import { randomNormal } from '../../src/cli/random-normal.ts'
import type { Tensor } from '../../src/device/index.ts'
import { silu } from '../../src/nn/activations.ts'
import { mixture } from '../../src/nn/experts/mixture.ts'
import { type MixtureMethod, mixtureBufferSpecs } from '../../src/nn/experts/mixture-plan.ts'
import { routeTokens } from '../../src/nn/experts/route-tokens.ts'
import { gatedLinear } from '../../src/nn/gated-mlp.ts'
import { linear } from '../../src/nn/linear.ts'
import type { MixtureLayers } from './mixture-layers.ts'

/** What a step has of its own. */
interface Lane {
  readonly x: Tensor
  readonly chosen: Tensor
  readonly weights: Tensor
}

/** Steps of so many tokens through such layers, with other tokens each, as many as together read more than caches hold. */
export class MixtureSteps {
  readonly lanes: readonly Lane[]
  readonly output: Tensor
  readonly #layers: MixtureLayers
  readonly #tensors: Tensor[] = []
  readonly #logits: Tensor
  readonly #denseInner: Tensor
  readonly #buffers: Parameters<typeof mixture>[1]['buffers']

  constructor(layers: MixtureLayers, tokens: number, poolBytes: number) {
    const { device, size, halves } = layers
    const { experts, perToken, hidden, inner } = size
    this.#layers = layers
    const compute = halves ? 'f16' : 'f32'
    const zeros = (shape: readonly number[], dtype: 'f32' | 'f16' | 'bf16' | 'i32' | 'u32' | 'i8' | 'u8' = 'f32') => {
      const tensor = device.zeros(shape, dtype)
      this.#tensors.push(tensor)
      return tensor
    }
    const read = Math.min(experts, tokens * perToken) * layers.expertBytes
    this.lanes = Array.from({ length: Math.min(32, Math.max(1, Math.ceil(poolBytes / read))) }, (_, lane) => {
      const x = device.tensor(randomNormal(tokens * hidden, 40 + lane), [tokens, hidden], compute)
      this.#tensors.push(x)
      return { x, chosen: zeros([tokens, perToken], 'i32'), weights: zeros([tokens, perToken]) }
    })
    this.output = zeros([tokens, hidden], compute)
    this.#logits = zeros([tokens, experts])
    this.#denseInner = zeros([tokens, perToken * inner], compute)
    // the most that any method needs
    const most = mixtureBufferSpecs(device.kind, { ...size, tokens: Math.max(tokens, experts + 1) }, compute)
    this.#buffers = Object.fromEntries(
      (['inner', 'outer', 'position', 'list'] as const).map((name) => [
        name,
        zeros([most[name].elements], most[name].dtype),
      ]),
    ) as Parameters<typeof mixture>[1]['buffers']
  }

  route(lane: number): void {
    const { device, mixtures, size } = this.#layers
    const { x, chosen, weights } = this.lanes[lane]!
    linear(device, { x, weight: mixtures[lane % mixtures.length]!.router, output: this.#logits })
    const routing = { perToken: size.perToken, scores: 'softmax', normalize: { plus: 0 } } as const
    routeTokens(device, { logits: this.#logits, routing, chosen, weights })
  }

  mixture(lane: number, method: MixtureMethod | null): void {
    const { device, mixtures } = this.#layers
    const { up, down } = mixtures[lane % mixtures.length]!
    const own = { up, down, gated: true, activation: silu, buffers: this.#buffers, output: this.output }
    const options = { ...this.lanes[lane]!, ...own }
    mixture(device, method ? { ...options, method } : options)
  }

  dense(copy: number): void {
    const { device, dense } = this.#layers
    const { up, down } = dense[copy]!
    gatedLinear(device, { x: this.lanes[0]!.x, weight: up, activation: silu, output: this.#denseInner })
    linear(device, { x: this.#denseInner, weight: down, output: this.output })
  }

  dispose(): void {
    for (const tensor of this.#tensors) tensor.dispose()
  }
}
