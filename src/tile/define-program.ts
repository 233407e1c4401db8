import * as ir from '../ir/build.ts'
import type { StorageDType } from '../ir/dtype.ts'
import type { EffectNode, Param, ScalarParam, TensorParam } from '../ir/node.ts'
import { type Program, schedule } from '../ir/schedule.ts'
import type { Effect } from './language.ts'
import { Value } from './value.ts'

/** What a program's body declares its arguments and effects with; arguments bind in the order of declaration. */
export interface ProgramBuilder {
  /** an input tensor; a size given as a number specialises the program to it, null stays a run-time value */
  input(
    name: string,
    dtype: StorageDType,
    sizes: readonly (number | null)[],
    options?: { alignment?: number },
  ): TensorParam
  output(
    name: string,
    dtype: StorageDType,
    sizes: readonly (number | null)[],
    options?: { alignment?: number },
  ): TensorParam
  /** an output that is also read: an element is loaded only to compute what this program stores there, once */
  update(
    name: string,
    dtype: StorageDType,
    sizes: readonly (number | null)[],
    options?: { alignment?: number },
  ): TensorParam
  /** a run-time number */
  scalar(name: string, dtype: ScalarParam['dtype']): Value
  /** this program's place in the grid (i32) */
  programId(axis: 0 | 1 | 2): Value
  emit(effect: Effect): void
}

/** Builds a tile program: `body` declares arguments, computes, and emits its stores. */
export function defineProgram(name: string, body: (p: ProgramBuilder) => void): Program {
  const params: Param[] = []
  const effects: EffectNode[] = []
  const tensor =
    (access: TensorParam['access']) =>
    (
      tensorName: string,
      dtype: StorageDType,
      sizes: readonly (number | null)[],
      options: { alignment?: number } = {},
    ) => {
      const param: TensorParam = {
        kind: 'tensor',
        name: tensorName,
        dtype,
        sizes,
        access,
        alignment: options.alignment ?? 1,
      }
      params.push(param)
      return param
    }
  body({
    input: tensor('read'),
    output: tensor('write'),
    update: tensor('readwrite'),
    scalar: (scalarName, dtype) => {
      const param: ScalarParam = { kind: 'scalar', name: scalarName, dtype }
      params.push(param)
      return new Value(ir.scalarValue(param))
    },
    programId: (axis) => new Value(ir.programId(axis)),
    emit: (effect) => effects.push(effect.effect),
  })
  return schedule(name, params, effects)
}
