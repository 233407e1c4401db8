import { FoveaError } from '../../tile/index.ts'
import type { ParameterDeclaration, UpdateRule } from '../parameter-store.ts'
import { type FieldKind, fieldKinds, oneOf, readFields } from '../read-fields.ts'
import { type AdamWOptions, adamw } from './adamw.ts'
import { type AuonOptions, auon } from './auon.ts'
import { type LambOptions, lamb } from './lamb.ts'
import { type LionOptions, lion } from './lion.ts'
import { type MuonOptions, muon } from './muon.ts'
import type { Optimizer } from './optimizer.ts'
import { type SgdOptions, sgd } from './sgd.ts'
import { type SophiaOptions, sophia } from './sophia.ts'

interface Rates {
  readonly learningRate?: number
  /** of matrices and tables; norms and biases have none */
  readonly weightDecay?: number
}

/** For what is not a matrix of a hidden layer: AdamW. */
interface WithOthers {
  readonly others?: Rates & AdamWOptions
}

/** An optimiser as a configuration names it; what is left out has the defaults of `optimizerDefaults` and of its own file. */
export type OptimizerConfig =
  | ({ readonly name: 'sgd' } & Rates & SgdOptions)
  | ({ readonly name: 'adamw' } & Rates & AdamWOptions)
  | ({ readonly name: 'lamb' } & Rates & LambOptions)
  | ({ readonly name: 'lion' } & Rates & LionOptions)
  | ({ readonly name: 'sophia' } & Rates & SophiaOptions)
  | ({ readonly name: 'muon' } & Rates & WithOthers & MuonOptions)
  | ({ readonly name: 'auon' } & Rates & WithOthers & AuonOptions)

export type OptimizerName = OptimizerConfig['name']

/** Rates that suit small language models; those of `others` for Muon and AuON. */
export const optimizerDefaults: Readonly<Record<OptimizerName | 'others', Required<Rates>>> = {
  sgd: { learningRate: 0.1, weightDecay: 0 },
  adamw: { learningRate: 1e-3, weightDecay: 0.1 },
  lamb: { learningRate: 5e-3, weightDecay: 0.01 },
  lion: { learningRate: 2e-4, weightDecay: 0.5 },
  sophia: { learningRate: 4e-4, weightDecay: 0.1 },
  muon: { learningRate: 0.02, weightDecay: 0.1 },
  auon: { learningRate: 0.24, weightDecay: 0 },
  others: { learningRate: 1e-3, weightDecay: 0 },
}

interface Entry {
  readonly fields: Readonly<Record<string, FieldKind>>
  make(options: never): Optimizer
  /** matrices of hidden layers only */
  readonly matrices?: true
}

const { positive, notNegative, fraction, count, flag, betas, threeNumbers } = fieldKinds

const entries: Readonly<Record<OptimizerName, Entry>> = {
  sgd: { fields: { momentum: fraction, nesterov: flag }, make: sgd },
  adamw: { fields: { betas, eps: positive }, make: adamw },
  lamb: { fields: { betas, eps: positive }, make: lamb },
  lion: { fields: { betas }, make: lion },
  sophia: { fields: { betas, gamma: positive, eps: positive, every: count }, make: sophia },
  muon: {
    fields: {
      momentum: fraction,
      nesterov: flag,
      steps: count,
      coefficients: threeNumbers,
      eps: positive,
      adjust: oneOf('original', 'match-rms'),
      precision: oneOf('f32', 'f16'),
    },
    make: muon,
    matrices: true,
  },
  auon: { fields: { momentum: fraction, nesterov: flag }, make: auon, matrices: true },
}

/** The optimisers of a run. */
export interface ChosenOptimizers {
  /** what a schedule's factor is multiplied by */
  readonly learningRate: number
  /** by the names that `rule` gives */
  readonly optimizers: Readonly<Record<string, Optimizer>>
  /** how a parameter is updated, for `ParameterStore` */
  rule(parameter: ParameterDeclaration): UpdateRule
}

/**
 * Reads `{ name, learningRate, weightDecay, … }`. Decay applies to parameters of two or more dimensions. Muon and AuON take the
 * matrices of hidden layers, and AdamW with the rates of `others` the rest: embeddings, the output projection, vectors.
 * Throws `argument` for an unknown name and for fields that are unknown or hold what they cannot, each named.
 */
export function chooseOptimizers(config: OptimizerConfig): ChosenOptimizers {
  const { name } = config as { readonly name?: unknown }
  if (typeof name !== 'string' || !Object.hasOwn(entries, name))
    throw new FoveaError(
      'argument',
      'optimizer',
      `name must be one of ${Object.keys(entries).join(', ')}, got ${JSON.stringify(name)}`,
    )
  const { fields, make, matrices } = entries[name as OptimizerName]
  const where = `optimizer ${name}`
  const object: FieldKind = { says: 'an object', accepts: (value) => typeof value === 'object' }
  const rates = { learningRate: positive, weightDecay: notNegative }
  const read = readFields(where, config, {
    name: oneOf(name),
    ...rates,
    ...fields,
    ...(matrices && { others: object }),
  })
  const { name: _, others: ofOthers, learningRate, weightDecay, ...options } = read
  const main = { ...optimizerDefaults[name as OptimizerName], ...defined({ learningRate, weightDecay }) }
  const optimizer = make(defined(options) as never)
  const decays = ({ shape, elementwise }: ParameterDeclaration) => shape.length >= 2 && !elementwise
  if (!matrices)
    return {
      learningRate: main.learningRate,
      optimizers: { [name]: optimizer },
      rule: (parameter) => ({ weightDecay: decays(parameter) ? main.weightDecay : 0, optimizer: name }),
    }

  const otherFields = readFields(`${where}: others`, ofOthers ?? {}, { ...rates, ...entries.adamw.fields })
  const { learningRate: otherRate, weightDecay: otherDecay, ...otherOptions } = otherFields
  const other = {
    ...optimizerDefaults.others,
    ...defined({ learningRate: otherRate, weightDecay: otherDecay }),
  }
  return {
    learningRate: main.learningRate,
    optimizers: { [name]: optimizer, adamw: adamw(defined(otherOptions)) },
    rule: (parameter) =>
      isHiddenMatrix(parameter)
        ? { weightDecay: main.weightDecay, optimizer: name }
        : {
            weightDecay: decays(parameter) ? other.weightDecay : 0,
            learningRateFactor: other.learningRate / main.learningRate,
            optimizer: 'adamw',
          },
  }
}

/** A matrix between hidden states: not a table of embeddings, nor the output projection. */
export function isHiddenMatrix({ name, shape, elementwise }: ParameterDeclaration): boolean {
  return shape.length === 2 && !elementwise && !/embed|lm_?head|\bwte\b|\bwpe\b/i.test(name)
}

/** Without the fields that are undefined; what they hold was checked. */
function defined<Fields extends object>(fields: Fields): { [Name in keyof Fields]?: never } {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as { [Name in keyof Fields]?: never }
}
