import { type Activation, gelu, geluTanh, silu } from '../../nn/index.ts'
import { FoveaError } from '../../tile/index.ts'
import type { ArchitectureName, DecoderSpec, LayerSpec } from '../decoder-spec.ts'

/** What llama.cpp computes for an architecture without being told, and so what a file cannot say otherwise. */
interface Fixed {
  readonly activations: readonly Activation[]
  /** may projections have biases that the architecture does not ask for? */
  readonly optionalBias?: boolean
  /** which layers see a window, given that there is one */
  readonly windowed?: (layer: number) => boolean
  /** which layers have rotary positions */
  readonly turns?: (layer: number) => boolean
  readonly attentionCap?: boolean
  readonly logitsCap?: boolean
  /** layers of the model whose scores are scaled by hidden size / heads instead of the width of a head */
  readonly widest?: number
}

const everyLayer = () => true

const fixed: Readonly<Record<ArchitectureName, Fixed | undefined>> = {
  llama: { activations: [silu], optionalBias: true },
  // llama.cpp reads it as llama, and sees all keys: the same as long as the text is no longer than the window
  mistral: { activations: [silu], windowed: everyLayer },
  qwen2: { activations: [silu] },
  qwen3: { activations: [silu] },
  gemma2: {
    activations: [geluTanh],
    windowed: (layer) => layer % 2 === 0,
    attentionCap: true,
    logitsCap: true,
    widest: 46,
  },
  gemma3: { activations: [geluTanh], windowed: (layer) => layer % 6 !== 5, widest: 62 },
  phi3: { activations: [silu], windowed: everyLayer },
  gpt2: { activations: [geluTanh], turns: () => false },
  // llama.cpp has the approximation only
  gpt_neox: { activations: [gelu, geluTanh] },
  olmo2: { activations: [silu] },
  smollm3: { activations: [silu], turns: (layer) => layer % 4 !== 3 },
}

/** architectures whose projections always have biases */
const biased: ReadonlySet<ArchitectureName> = new Set(['qwen2', 'gpt2', 'gpt_neox'])

/** Is the architecture one of those above? Of others their file is read before it is written (`check-gguf-reading.ts`). */
export const hasGgufLimits = ({ architecture }: DecoderSpec): boolean => fixed[architecture] !== undefined

/**
 * Throws `unsupported` naming the layer and what llama.cpp would compute differently: it knows an architecture's
 * activation, which layers have windows or positions, how scores are scaled, and files cannot say it.
 */
export function checkGgufLimits(spec: DecoderSpec): void {
  const { architecture, layers, logits } = spec
  const known = fixed[architecture]
  const refuse = (what: string) =>
    new FoveaError('unsupported', 'exportGguf', `llama.cpp's ${architecture} has ${what}`)
  if (!known) return
  if ((logits.softCap !== null) !== (known.logitsCap ?? false))
    throw refuse(`${known.logitsCap ? 'always' : 'no'} cap of logits`)
  if (architecture === 'gpt_neox' && logits.tied) throw refuse('a matrix of logits of its own')
  const [first] = layers
  for (const [index, layer] of layers.entries()) {
    const fault = layerFault(known, spec, layer, index)
    if (fault !== undefined) throw refuse(`${fault} (layer ${index})`)
    const sizes = ({ attention, mlp }: LayerSpec) =>
      [attention.numHeads, attention.numKvHeads, attention.headDim, mlp.size].join()
    if (first && sizes(layer) !== sizes(first)) throw refuse('layers of one size')
  }
}

function layerFault(known: Fixed, spec: DecoderSpec, layer: LayerSpec, index: number): string | undefined {
  const { attention, mlp } = layer
  if (!known.activations.includes(mlp.activation)) return 'another activation'
  const turns = known.turns?.(index) ?? true
  if ((attention.rope !== null) !== turns) return `${turns ? '' : 'no '}rotary positions`
  if (attention.rope?.interleaved) return 'the rows of queries and keys of Hugging Face files reordered'
  const windows = spec.layers.some((other) => other.attention.window !== null)
  const windowed = windows && (known.windowed?.(index) ?? false)
  if ((attention.window !== null) !== windowed) return `${windowed ? 'a' : 'no'} sliding window`
  if ((attention.softCap !== null) !== (known.attentionCap ?? false))
    return `${known.attentionCap ? 'always' : 'no'} cap of scores`
  const width = known.widest === spec.layers.length ? spec.hiddenSize / attention.numHeads : attention.headDim
  if (Math.abs(attention.scale * Math.sqrt(width) - 1) > 1e-6) return `scores scaled by ${width}^-1/2`
  const mayBias = known.optionalBias || biased.has(spec.architecture)
  if (!mayBias && (attention.qkvBias || attention.outputBias || mlp.bias)) return 'no biases'
  return undefined
}
