import { FoveaError, type Program, type TensorParam } from '../ir/index.ts'
import { accessForm } from './access-form.ts'
import type { HelperUse } from './element-functions.ts'
import type { BoundTensor } from './lowering.ts'
import type { NodeUses } from './node-uses.ts'
import { storageFormat } from './storage-format.ts'

export interface TensorBinding {
  readonly param: TensorParam
  readonly binding: number
  readonly access: 'read' | 'read_write'
}

export interface BoundTensors {
  readonly bindings: readonly TensorBinding[]
  readonly bound: (tensor: TensorParam) => BoundTensor
  /** the declarations of the buffers */
  readonly declarations: readonly string[]
}

/** One binding per tensor, in the order of the parameters. Throws `limit` when the device binds fewer buffers. */
export function bindTensors(
  program: Program,
  uses: NodeUses,
  maxBuffers: number,
  halves: boolean,
  helper: HelperUse,
): BoundTensors {
  const params = program.params.filter((param) => param.kind === 'tensor')
  if (params.length > maxBuffers)
    throw new FoveaError(
      'limit',
      program.name,
      `has ${params.length} tensors, the device binds at most ${maxBuffers} storage buffers`,
    )
  const names = new Set<string>()
  const byTensor = new Map<TensorParam, BoundTensor>()
  const declarations: string[] = []
  const bindings = params.map((param, binding): TensorBinding => {
    let buffer = `${param.name.replace(/\W/g, '_')}_data`
    if (!/^[A-Za-z]/.test(buffer)) buffer = `tensor_${buffer}`
    if (names.has(buffer)) buffer = `${buffer}${binding}`
    names.add(buffer)
    const access = param.access === 'read' ? 'read' : 'read_write'
    const format = storageFormat(
      param.dtype,
      param.alignment,
      halves,
      writesParts(param, uses) ? 'atomic' : 'owned',
      helper,
    )
    byTensor.set(param, { buffer, format })
    declarations.push(`@group(0) @binding(${binding}) var<storage, ${access}> ${buffer}: array<${format.declared}>;`)
    return { param, binding, access }
  })
  return {
    bindings,
    declarations,
    bound: (tensor) => {
      const known = byTensor.get(tensor)
      if (!known) throw new FoveaError('argument', program.name, `${tensor.name} is no parameter of this program`)
      return known
    },
  }
}

/** Can two invocations write parts of one 32-bit word? Not when every store writes aligned chunks of four. */
function writesParts(param: TensorParam, uses: NodeUses): boolean {
  return uses.stores.some((store) => {
    if (store.tensor !== param) return false
    const { aligned, whole } = accessForm(param, store.indices)
    return !(aligned && whole && store.cols % 4 === 0 && (store.where?.cols ?? 1) === 1)
  })
}
