import { type LoraTarget, linearLayers } from '../../model/adapters/linear-layers.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'

export interface LoraOptions {
  /** columns of B and rows of A (8) */
  readonly rank?: number
  /** the update is alpha / rank · B A (16) */
  readonly alpha?: number
  /** alpha / √rank instead: keeps the size of updates whatever the rank (Kalajdzievski 2023, arXiv 2312.03732) (false) */
  readonly rankStabilised?: boolean
  /**
   * linear layers by their names, or the last parts of them, as `Checkpoint` or as the model's files call them: "mlp.up",
   * "layers.3.attention.query", "q_proj"; or "all" (["attention.query", "attention.value"], as in the paper)
   */
  readonly targets?: readonly string[] | 'all'
}

export interface LoraPlan {
  readonly rank: number
  readonly alpha: number
  readonly rankStabilised: boolean
  /** alpha / rank, or alpha / √rank */
  readonly scale: number
  readonly targets: readonly LoraTarget[]
}

/**
 * Which layers of a decoder get adapters. Throws `argument` naming the field: a rank that is no whole number of 1 … the smaller
 * size of a layer, an alpha that is not above 0, targets that no layer is called by (with those there are).
 */
export function planLora(spec: DecoderSpec, options: LoraOptions = {}): LoraPlan {
  checkFields('planLora', 'options', options, fields)
  const { rank = 8, alpha = 16, rankStabilised = false, targets = ['attention.query', 'attention.value'] } = options
  const fault = (message: string) => new FoveaError('argument', 'lora', message)
  if (!Number.isInteger(rank) || rank < 1) throw fault(`rank must be a whole number of at least 1, got ${rank}`)
  if (!(alpha > 0 && Number.isFinite(alpha))) throw fault(`alpha must be a number above 0, got ${alpha}`)
  const all = linearLayers(spec)
  const chosen = targets === 'all' ? all : all.filter((layer) => targets.some((target) => isCalled(layer, target)))
  if (targets !== 'all') {
    const unknown = targets.filter((target) => !all.some((layer) => isCalled(layer, target)))
    if (unknown.length || targets.length === 0)
      throw fault(
        `targets: no linear layer is called ${unknown.join(', ') || '(none given)'}; layers are ${[...new Set(all.map(({ name }) => name.replace(/^layers\.\d+\./, '')))].join(', ')}`,
      )
  }
  for (const { name, outputs, inputs } of chosen)
    if (rank > Math.min(outputs, inputs)) throw fault(`rank ${rank} is more than ${name} [${outputs}, ${inputs}] has`)
  return { rank, alpha, rankStabilised, scale: alpha / (rankStabilised ? Math.sqrt(rank) : rank), targets: chosen }
}

function isCalled({ name, module }: LoraTarget, target: string): boolean {
  return [name, module].some((known) => known === target || known?.endsWith(`.${target}`))
}

const fields: FieldsOf<LoraOptions> = { rank: true, alpha: true, rankStabilised: true, targets: true }
