import type { Tensor } from '../../device/device.ts'
import { weightShapes } from '../../model/architectures/weight-shapes.ts'
import type { DecoderSpec } from '../../model/decoder-spec.ts'
import { checkFields, type FieldsOf, FoveaError } from '../../tile/index.ts'
import type { AttentionVariant, VariantParameter } from '../attention-variants.ts'
import type { ParameterDeclaration, UpdateRule } from '../parameter-store.ts'
import { fieldKinds, readFields } from '../read-fields.ts'
import type { CapturedWeights } from '../tape/captured-weights.ts'
import type { TapeWeight } from '../tape/tape-weight.ts'

const where = 'createTrainableDecoder'

/** A parameter of a variant in one layer. */
interface LayerParameter extends ParameterDeclaration {
  /** Its first values. Throws `argument` and `shape`. */
  initial(): Float32Array
}

/**
 * The parameters of a variant in all layers, "layers.0.attention.<name>". Throws `argument` for a name that is no word or
 * belongs to a weight of the model, for fields and updates that are none, and where nothing would read them; `shape` for sizes
 * that are none.
 */
export function variantParameters(spec: DecoderSpec, variant: AttentionVariant): readonly LayerParameter[] {
  const declared = Object.entries<VariantParameter>(variant.parameters ?? {})
  if (declared.length === 0) return []
  const fault = (message: string) => new FoveaError('argument', where, `attention ${variant.name}: ${message}`)
  if (variant.gateDivisor !== undefined)
    throw fault(`linear attention reads no parameters, got ${declared.map(([name]) => name).join(', ')}`)
  for (const [name, parameter] of declared) {
    if (!/^[a-z]\w*$/i.test(name)) throw fault(`parameters.${name}: a name is letters and digits`)
    checkFields(where, `attention.parameters.${name}`, parameter, parameterFields)
    readFields(`${where}: attention.parameters.${name}.update`, parameter.update ?? {}, updateFields)
  }
  const weights = weightShapes(spec)
  return spec.layers.flatMap(({ attention: layer }, index) =>
    declared.map(([short, { shape: given, initial, update }]) => {
      const name = variantName(`layers.${index}`, short)
      if (weights.has(name)) throw fault(`parameters.${short}: the model has a weight ${name}`)
      const shape = typeof given === 'function' ? given(layer) : given
      checkShape(`attention ${variant.name}: shape of ${name}`, shape)
      const first = () => {
        const values = typeof initial === 'function' ? initial(layer, index) : initial
        return initialValues(`attention ${variant.name}: initial of ${name}`, shape, values)
      }
      return { name, shape, elementwise: true, update: { weightDecay: 0, ...update }, initial: first }
    }),
  )
}

function variantName(layer: string, name: string): string {
  return `${layer}.attention.${name}`
}

/** The parameters of a variant in one layer, by the names that it gave them. */
export function variantWeights(
  weights: { get(name: string): TapeWeight },
  variant: AttentionVariant,
  layer: string,
): Readonly<Record<string, TapeWeight>> {
  const names = Object.keys(variant.parameters ?? {})
  return Object.fromEntries(names.map((name) => [name, weights.get(variantName(layer, name))]))
}

/** Those of a layer in place of those that a kernel was prepared with. */
export function capturedWeights(
  prepared: Readonly<Record<string, TapeWeight>>,
  own: Readonly<Record<string, TapeWeight>>,
): CapturedWeights {
  return new Map(Object.entries(prepared).map(([name, { weight }]) => [weight, own[name] as TapeWeight]))
}

/**
 * A gradient reaches every parameter of a variant, and nothing else that might be trained. Throws `argument` for a parameter
 * that its score function does not read, and for a tensor of floats that is neither a parameter nor a constant of its own.
 */
export function checkCaptured(
  { name: variant }: AttentionVariant,
  captured: readonly Tensor[],
  parameters: Readonly<Record<string, TapeWeight>>,
  constants: readonly unknown[],
): void {
  const fault = (message: string) =>
    new FoveaError('argument', 'TrainableDecoder.prepare', `attention ${variant}: ${message}`)
  const own = Object.entries(parameters)
  for (const [name, { weight }] of own)
    if (!captured.includes(weight))
      throw fault(
        `no gradient reaches the parameter ${name}: scoreMod does not read it, or only where to look or compare`,
      )
  for (const tensor of captured)
    if (!constants.includes(tensor) && !own.some(([, { weight }]) => weight === tensor))
      throw fault(
        `scoreMod reads a tensor ${tensor.dtype} [${tensor.shape.join(', ')}] that is not its own, whose gradient nobody would add: declare it in parameters, or make it with constant`,
      )
}

function checkShape(what: string, shape: unknown): void {
  if (Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 1)) return
  throw new FoveaError('shape', where, `${what} must be a list of whole numbers ≥ 1, got ${JSON.stringify(shape)}`)
}

function initialValues(what: string, shape: readonly number[], given: number | ArrayLike<number>): Float32Array {
  const size = shape.reduce((product, extent) => product * extent, 1)
  const values = typeof given === 'number' ? new Float32Array(size).fill(given) : Float32Array.from(given ?? [])
  if (values.length !== size)
    throw new FoveaError(
      'shape',
      where,
      `${what} must be a number or ${size} of them for [${shape.join(', ')}], got ${values.length}`,
    )
  const odd = values.findIndex((value) => !Number.isFinite(value))
  if (odd < 0) return values
  const value = typeof given === 'number' ? given : given[odd]
  throw new FoveaError(
    'argument',
    where,
    `${what} must be finite numbers, got ${value}${typeof given === 'number' ? '' : ` at ${odd}`}`,
  )
}

const parameterFields: FieldsOf<VariantParameter> = { shape: true, initial: true, update: true }
const updateFields = {
  weightDecay: fieldKinds.notNegative,
  learningRateFactor: fieldKinds.notNegative,
  optimizer: { says: 'a name', accepts: (value: unknown) => typeof value === 'string' },
} satisfies Readonly<Record<keyof UpdateRule, unknown>>
