import type { MlpSpec } from '../decoder-spec.ts'
import type { ConfigFields } from './config-fields.ts'
import { gemmaActivation } from './gemma-fields.ts'
import { namedActivation } from './named-activation.ts'
import { normalQuantile } from './normal-quantile.ts'

/** Widths and shares of gates that do not count, each a number or one for each layer. */
export function readMlps(config: ConfigFields, numLayers: number): readonly MlpSpec[] {
  const activation = namedActivation(config, gemmaActivation.field, gemmaActivation.activation)
  const sizes = eachLayer(config, 'intermediate_size', numLayers, (value) => value >= 1 && Number.isSafeInteger(value))
  const shares = eachLayer(config, 'activation_sparsity_pattern', numLayers, (value) => value >= 0 && value < 1)
  return Array.from({ length: numLayers }, (_, index) => {
    const share = shares?.[index] ?? (!shares && numLayers > 10 && index < 10 ? 0.95 : 0)
    const size = sizes?.[index] ?? 16_384
    const sparse = share > 0 ? { gateDeviations: normalQuantile(share) } : {}
    return { size, activation, gated: true, bias: false, ...sparse }
  })
}

/** A number for each layer, or one for all; null where nothing is said. Throws `format`. */
function eachLayer(
  config: ConfigFields,
  name: string,
  numLayers: number,
  isRight: (value: number) => boolean,
): readonly number[] | null {
  if (!config.has(name)) return null
  const all = config.isZero(name) ? 0 : isNumber(config, name) ? config.positive(name) : null
  const list = all === null ? (config.list(name) ?? []) : new Array<number>(numLayers).fill(all)
  if (list.length !== numLayers) throw config.fault(name, `has ${list.length} entries for ${numLayers} layers`)
  for (const [index, value] of list.entries())
    if (typeof value !== 'number' || !isRight(value))
      throw config.fault(`${name}[${index}]`, `is no number that it could be: ${String(value)}`)
  return list as number[]
}

function isNumber(config: ConfigFields, name: string): boolean {
  try {
    return config.positive(name) > 0
  } catch {
    return false
  }
}
