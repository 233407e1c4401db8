import { colRange, defineProgram, dot, type Program, store, type Value, zeros } from '../../../tile/index.ts'
import { roundUp } from '../flash-program.ts'
import { type BackwardProgramSpec, gradientTile } from './gradient-tile.ts'
import { keyPass } from './key-pass.ts'

/**
 * Where the gradients go: two tensors, or, as no kernel may write one memory through two bindings, one tensor
 * [2, B, S, Hkv, D] that holds both. With `key` or `value` the program gives that one alone and spends a binding less.
 */
export type KeyGradientOutputs = 'separate' | 'joined' | 'key' | 'value'

/**
 * dKey = scale · dSᵀ · query and dValue = pᵀ · dOutput. One program owns tileK keys of one key head and streams the query
 * tiles that meet them, of each head of its group in turn. Traffic: key, value and their gradients once; query and dOutput
 * once per key tile.
 */
export function keyGradientProgram(spec: BackwardProgramSpec & { readonly outputs: KeyGradientOutputs }): Program {
  const { tileK, dtype, alignment, outputs, headDim, valueDim } = spec
  const [width, valueWidth] = [roundUp(headDim, spec.padTo), roundUp(valueDim, spec.padTo)]
  return defineProgram('flashKeyGradient', (p) => {
    const { row, kRows, kvHead, where, scale, stream } = keyPass(p, spec)
    const output = (name: string, sizes: readonly (number | null)[]) => p.output(name, dtype, sizes, { alignment })
    const both = outputs === 'joined' ? output('dKeyValue', [2, null, null, null, headDim]) : null
    const dKey = outputs === 'separate' || outputs === 'key' ? output('dKey', [null, null, null, headDim]) : null
    const dValue = outputs === 'separate' || outputs === 'value' ? output('dValue', [null, null, null, valueDim]) : null

    // values first: their weights are known before dS is
    const start: Record<string, Value> = {
      ...(outputs === 'key' ? {} : { accV: zeros([tileK, valueWidth]) }),
      ...(outputs === 'value' ? {} : { accK: zeros([tileK, width]) }),
    }
    const { accK, accV } = stream(start, ({ tile, queries, dOutputs }, carried) => {
      const { p: weights, dS } = gradientTile(spec, tile) //                                  [tileK, tileQ]
      const next: Record<string, Value> = {}
      if (carried.accV) next.accV = carried.accV.add(dot(weights, dOutputs)) //               [tileK, Dv]
      if (carried.accK) next.accK = carried.accK.add(dot(dS, queries)) //                     [tileK, D]
      return next
    })
    const at = [row, kRows, kvHead] as const
    if (accK) {
      const [columns, gradient] = [colRange(0, width), accK.mul(scale)]
      if (both) p.emit(store(both, [0, ...at, columns], gradient, { where }))
      if (dKey) p.emit(store(dKey, [...at, columns], gradient, { where }))
    }
    if (accV) {
      const columns = colRange(0, valueWidth)
      if (both) p.emit(store(both, [1, ...at, columns], accV, { where }))
      if (dValue) p.emit(store(dValue, [...at, columns], accV, { where }))
    }
  })
}
