import {
  alignmentOf,
  colRange,
  load,
  type Operand,
  type ProgramBuilder,
  select,
  sizeOf,
  type TensorSpec,
  type Value,
} from '../../tile/index.ts'
import { softCap } from '../activations.ts'
import { settingsFields, settingsWidth } from './sampling-settings.ts'

/** What of a row of logits specialises a program. */
export interface SampleRowSpec {
  readonly logits: TensorSpec // [S, V]
  /** occurrences are given: i32 [slots, V] */
  readonly seen: TensorSpec | null
  readonly softCap: number | null
}

export type Setting = (typeof settingsFields)[number]

/** Neighbouring tokens [1, n] with their logits and scores, −∞ beyond the row. */
export interface RowScores {
  readonly tokens: Value
  readonly x: Value
  readonly scores: Value
}

/** A row of logits in a program. */
export interface SampleRow {
  readonly width: Value
  setting(name: Setting): Value
  logit(token: Operand): Value
  read(from: Operand, n: number): RowScores
}

/** Declares the parameters that a row is read from; `V`: its length, where the program is made for it. */
export function sampleRow(p: ProgramBuilder, spec: SampleRowSpec, row: Value, V: number | null): SampleRow {
  const cap = spec.softCap === null ? (x: Value) => x : softCap(spec.softCap)
  const logits = p.input('logits', spec.logits.dtype, [null, V], { alignment: alignmentOf(spec.logits) })
  const settings = p.input('settings', 'f32', [null, settingsWidth])
  const seen = spec.seen && p.input('seen', 'i32', [null, V], { alignment: alignmentOf(spec.seen) })
  const slots = seen && p.input('slots', 'i32', [null])
  const width = sizeOf(logits, 1)
  const setting = (name: Setting) => load(settings, [row, settingsFields.indexOf(name)])
  const logit = (token: Operand) => cap(load(logits, [row, token]).cast('f32'))
  const penalised = seen && slots ? penalties(setting, (v) => load(seen, [load(slots, [row]), v])) : null
  return {
    width,
    setting,
    logit,
    read(from, n) {
      const tokens = colRange(from, n)
      const inside = tokens.lt(width)
      const x = logit(tokens)
      const bounded = (value: Value) => select(inside, value, Number.NEGATIVE_INFINITY)
      return { tokens, x: bounded(x), scores: bounded(penalised ? penalised(x, tokens) : x) }
    },
  }
}

/** Scores of tokens by what occurred: see `SamplingSettings`. Rows without penalties read no occurrences. */
function penalties(setting: (name: Setting) => Value, occurrences: (tokens: Value) => Value) {
  const [repetition, presence, frequency] = [
    setting('repetitionPenalty'),
    setting('presencePenalty'),
    setting('frequencyPenalty'),
  ]
  const any = repetition.ne(1).or(presence.ne(0)).or(frequency.ne(0))
  return (x: Value, tokens: Value): Value => {
    const count = occurrences(tokens)
    const generated = count.shr(1)
    const repeated = count.gt(0).select(x.gt(0).select(x.div(repetition), x.mul(repetition)), x)
    const once = generated.gt(0).select(repeated.sub(presence), repeated)
    return any.select(once.sub(generated.cast('f32').mul(frequency)), x)
  }
}
