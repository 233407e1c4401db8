import { type Activation, gelu, geluQuick, geluTanh, relu, reluSquared, silu } from '../../nn/index.ts'
import type { ConfigFields } from './config-fields.ts'

/** Activations by the names that configurations give them. */
const activations: ReadonlyMap<string, Activation> = new Map([
  ['silu', silu],
  ['swish', silu],
  ['gelu', gelu],
  ['gelu_new', geluTanh],
  ['gelu_fast', geluTanh],
  ['gelu_pytorch_tanh', geluTanh],
  ['quick_gelu', geluQuick],
  ['relu', relu],
  ['relu2', reluSquared],
])

/** The activation that a field names. Throws `format` for an unknown name, listing the known ones. */
export function namedActivation(config: ConfigFields, field: string, fallback?: string): Activation {
  const name = config.text(field, fallback)
  const activation = activations.get(name)
  if (activation) return activation
  throw config.fault(field, `is the unknown activation "${name}"; known are ${[...activations.keys()].join(', ')}`)
}

/** The name that is given to an activation in configurations, the first that is known for it. Undefined for one of others. */
export function activationName(activation: Activation): string | undefined {
  for (const [name, known] of activations) if (known === activation) return name
  return undefined
}
