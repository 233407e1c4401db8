/** The syntax of a template: what parse-template.ts makes and run-template.ts runs. */
export type Expression =
  | { readonly kind: 'constant'; readonly value: null | boolean | number | string | { readonly float: number } }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'list' | 'tuple'; readonly items: readonly Expression[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'unary'; readonly operator: '+' | '-' | 'not'; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'logical'; readonly operator: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'compare'; readonly first: Expression; readonly rest: readonly Comparison[] }
  | { readonly kind: 'concat'; readonly parts: readonly Expression[] }
  | {
      readonly kind: 'conditional'
      readonly test: Expression
      readonly then: Expression
      readonly otherwise: Expression | null
    }
  | { readonly kind: 'attribute'; readonly object: Expression; readonly name: string }
  | { readonly kind: 'item'; readonly object: Expression; readonly index: Expression }
  | { readonly kind: 'slice'; readonly object: Expression; readonly bounds: readonly (Expression | null)[] }
  | { readonly kind: 'call'; readonly callee: Expression; readonly given: GivenArguments }
  | { readonly kind: 'filter'; readonly operand: Expression; readonly name: string; readonly given: GivenArguments }
  | {
      readonly kind: 'test'
      readonly operand: Expression
      readonly name: string
      readonly given: GivenArguments
      readonly negated: boolean
    }

export interface Comparison {
  readonly operator: '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in'
  readonly operand: Expression
}

export interface GivenArguments {
  readonly positional: readonly Expression[]
  readonly named: readonly (readonly [string, Expression])[]
  /** `*list` and `**dict` */
  readonly list: Expression | null
  readonly dict: Expression | null
}

export type Target =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'field'; readonly name: string; readonly field: string }
  | { readonly kind: 'targets'; readonly targets: readonly Target[] }

export type FilterCall = { readonly name: string; readonly given: GivenArguments }
export type Parameter = { readonly name: string; readonly fallback: Expression | null }
export type Body = readonly Statement[]

export type Statement =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly value: Expression }
  | { readonly kind: 'if'; readonly branches: readonly (readonly [Expression, Body])[]; readonly otherwise: Body }
  | {
      readonly kind: 'for'
      readonly target: Target
      readonly list: Expression
      readonly filter: Expression | null
      readonly recursive: boolean
      readonly body: Body
      readonly otherwise: Body
    }
  | { readonly kind: 'break' | 'continue' }
  | { readonly kind: 'set'; readonly target: Target; readonly value: Expression }
  | { readonly kind: 'set-body'; readonly target: Target; readonly filters: readonly FilterCall[]; readonly body: Body }
  | { readonly kind: 'macro'; readonly name: string; readonly parameters: readonly Parameter[]; readonly body: Body }
  | { readonly kind: 'call'; readonly call: Expression; readonly parameters: readonly Parameter[]; readonly body: Body }
  | { readonly kind: 'filter'; readonly filters: readonly FilterCall[]; readonly body: Body }
  | { readonly kind: 'with'; readonly sets: readonly (readonly [Target, Expression])[]; readonly body: Body }
  | { readonly kind: 'body'; readonly body: Body }
