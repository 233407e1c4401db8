import type { Device } from '../../device/device.ts'
import type { LoraTarget } from '../../model/adapters/linear-layers.ts'
import type { Checkpoint } from '../../model/checkpoint.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { accumulate } from '../../nn/accumulate.ts'
import { matmul } from '../../nn/matmul.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import { normalDraws } from '../counter-random.ts'
import type { TapeLinear } from '../decoder/decoder-layer.ts'
import { decoderParameters } from '../decoder/decoder-parameters.ts'
import {
  createTrainableDecoder,
  type TrainableDecoder,
  type TrainableDecoderOptions,
} from '../decoder/trainable-decoder.ts'
import { type ParameterDeclaration, ParameterStore, type ParameterStoreOptions } from '../parameter-store.ts'
import type { Checkpointing, PlannableModel, PreparedModel, StepInputs, StepShape } from '../trainable-model.ts'
import { type AdapterBlock, addAdapters } from './add-adapters.ts'
import { type LoraOptions, type LoraPlan, planLora } from './lora-options.ts'

export interface LoraDecoderOptions extends Omit<TrainableDecoderOptions, 'rule'> {
  readonly lora?: LoraOptions
  /** of the matrices A; B begins at zero (0) */
  readonly seed?: number
  /** how A and B are updated (without decay) */
  readonly rule?: ParameterStoreOptions['rule']
}

/**
 * A decoder whose weights stay as they are while low-rank updates of its linear layers are trained: y = x Wᵀ + scale x Aᵀ Bᵀ.
 * The base has no gradients and no states. Its `parameters` are the adapters: "layers.0.attention.query.loraA" and `.loraB`;
 * parameters of an attention variant, which no checkpoint has, are trained with them.
 *
 * Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
 */
export class LoraDecoder implements PlannableModel {
  readonly base: TrainableDecoder
  readonly plan: LoraPlan
  readonly parameters: ParameterStore
  readonly #rule: ParameterStoreOptions['rule']
  #merged = false

  /** The base is taken over. Use `createLoraDecoder`. */
  constructor(base: TrainableDecoder, plan: LoraPlan, rule?: ParameterStoreOptions['rule']) {
    this.base = base
    this.plan = plan
    this.#rule = rule
    this.parameters = new ParameterStore(base.device, {
      blocks: adapterBlocks(base, plan).flatMap((block) => [
        block.map(({ name, inputs }) => ({ name: `${name}.loraA`, shape: [plan.rank, inputs] })),
        ...block.map(({ name, outputs }) => [{ name: `${name}.loraB`, shape: [outputs, plan.rank] }]),
      ]),
      compute: base.precision,
      along: base.parameters,
      ...(rule && { rule }),
    })
  }

  get device(): Device {
    return this.base.device
  }

  get spec(): DecoderSpec {
    return this.base.spec
  }

  get vocabSize(): number {
    return this.base.vocabSize
  }

  get learnedPositions(): number {
    return this.base.learnedPositions
  }

  get precision(): TrainableDecoder['precision'] {
    return this.base.precision
  }

  get description(): Readonly<Record<string, string | number>> {
    const { rank, scale, targets } = this.plan
    return { ...this.base.description, loraRank: rank, loraScale: scale, loraLayers: targets.length }
  }

  /** are the updates in the base's weights? */
  get merged(): boolean {
    return this.#merged
  }

  /** Rejects with `argument` while merged, `capacity`, and with what the base's `prepare` rejects with. */
  async prepare(shape: StepShape, inputs: StepInputs): Promise<PreparedModel> {
    if (this.#merged) throw new FoveaError('argument', 'LoraDecoder.prepare', 'the adapters are merged: unmerge first')
    const blocks = new Map(adapterBlocks(this.base, this.plan).map((block) => [block[0]?.block, this.#block(block)]))
    const adapt = (first: string, linear: TapeLinear): TapeLinear => {
      const block = blocks.get(first)
      return block ? (tape, x) => addAdapters(tape, x, linear(tape, x), block) : linear
    }
    return this.base.prepare(shape, inputs, adapt)
  }

  planned(device: Device, changes: { readonly checkpointing?: Checkpointing }): LoraDecoder {
    return new LoraDecoder(this.base.planned(device, changes), this.plan, this.#rule)
  }

  /** W += scale · B A: the base then computes what both did, without them. Steps prepared before must not run until `unmerge`. */
  merge(): void {
    if (!this.#merged) this.#addToBase(1)
    this.#merged = true
  }

  /** Takes the updates out again: W is what it was, to the rounding of its dtype. */
  unmerge(): void {
    if (this.#merged) this.#addToBase(-1)
    this.#merged = false
  }

  /** The merged weights as a checkpoint, for export or an engine. */
  checkpoint(): Checkpoint {
    const { base, plan } = this
    return base.checkpoint(async (name) => {
      const weight = await base.parameters.read(name)
      const target = this.#merged ? undefined : plan.targets.find((known) => known.name === name)
      if (!target) return weight
      const update = matmul(this.device, { ...this.#factors(target), alpha: plan.scale })
      const values = await update.read()
      update.dispose()
      return weight.map((value, i) => value + (values[i] as number))
    })
  }

  dispose(): void {
    this.parameters.dispose()
    this.base.dispose()
  }

  #addToBase(sign: 1 | -1): void {
    for (const target of this.plan.targets) {
      const { weight } = this.base.parameters.get(target.name)
      const product = { ...this.#factors(target), alpha: sign * this.plan.scale }
      if (weight.dtype === 'f32') matmul(this.device, { ...product, output: weight, accumulate: true })
      else {
        const update = matmul(this.device, product)
        accumulate(this.device, { x: update, output: weight })
        update.dispose()
      }
    }
  }

  #factors({ name }: LoraTarget) {
    return { a: this.parameters.get(`${name}.loraB`).weight, b: this.parameters.get(`${name}.loraA`).weight }
  }

  #block(block: readonly PlacedTarget[]): AdapterBlock {
    const { rank, scale } = this.plan
    return {
      a: this.parameters.joined(`${block[0]?.name}.loraA`),
      rank,
      scale,
      adapters: block.map(({ name, column }) => ({ b: this.parameters.get(`${name}.loraB`), column })),
    }
  }
}

/** A decoder with fresh adapters (A of deviation 1 / √(3 · inputs), as PEFT draws it; B zero, so that nothing changes at first). Rejects with `argument`, and with what `createTrainableDecoder` rejects with. */
export async function createLoraDecoder(device: Device, options: LoraDecoderOptions): Promise<LoraDecoder> {
  checkFields('createLoraDecoder', 'options', options, fields)
  const { lora, seed = 0, rule, ...rest } = options
  const plan = planLora(options.from.spec, lora)
  const ruleOfBase: ParameterStoreOptions['rule'] = (parameter) =>
    parameter.elementwise ? (rule?.(parameter) ?? {}) : 'frozen'
  const base = await createTrainableDecoder(device, { ...rest, rule: ruleOfBase })
  try {
    const decoder = new LoraDecoder(base, plan, rule)
    for (const [i, { name, inputs }] of plan.targets.entries())
      decoder.parameters.write(`${name}.loraA`, normalDraws(seed, i, plan.rank * inputs, 1 / Math.sqrt(3 * inputs)))
    return decoder
  } catch (error) {
    base.dispose()
    throw error
  }
}

interface PlacedTarget extends LoraTarget {
  /** first matrix of the base's block that it is in */
  readonly block: string
  /** its first column among the outputs of the block */
  readonly column: number
}

/** The targets of each of the base's blocks that has some, in order. */
function adapterBlocks({ spec }: TrainableDecoder, { targets }: LoraPlan): PlacedTarget[][] {
  const byName = new Map(targets.map((target) => [target.name, target]))
  const inBlock = (block: readonly ParameterDeclaration[]) => {
    let column = 0
    return block.flatMap(({ name, shape }) => {
      const target = byName.get(name)
      const placed = target && { ...target, block: block[0]?.name ?? '', column }
      column += shape[0] ?? 0
      return placed ? [placed] : []
    })
  }
  return decoderParameters(spec)
    .map(inBlock)
    .filter((block) => block.length > 0)
}

const fields: FieldsOf<LoraDecoderOptions> = {
  lora: true,
  seed: true,
  rule: true,
  from: true,
  precision: true,
  attention: true,
  checkpointing: true,
  tokenizer: true,
}
