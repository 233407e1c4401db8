import { differentiate, instantiate, scalar, symbol, Value } from '../tile/index.ts'
import type { Activation } from './activations.ts'

/** y = activation(x) and dX = dY · dy/dx in a program, each of x's shape and f32: the slope comes from the activation's expression. */
export function activationGradient(
  activation: Activation,
  x: Value,
  dY: Value,
): { readonly y: Value; readonly dX: Value } {
  const [at, arriving] = [symbol('x', 'f32'), symbol('dY', 'f32')]
  const y = activation(at)
  const [dX] = differentiate([{ node: y.node, gradient: arriving.node }], [at.node])
  const given = new Map([
    [at.node, x.cast('f32').node],
    [arriving.node, dY.cast('f32').node],
  ])
  const built = instantiate([y.node, dX ?? scalar(0).node], given)
  const [value, gradient] = built.map((node) => new Value(node).broadcastTo(x.rows, x.cols)) as [Value, Value]
  return { y: value, dX: gradient }
}
