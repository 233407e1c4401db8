import type { TemplatePart } from './text-templates.ts'

/** Tokens with the type of each. */
export interface TypedTokens {
  readonly tokens: number[]
  readonly types: number[]
}

/** The tokens of one or two texts in a template. */
export function fillTemplate(parts: readonly TemplatePart[], texts: readonly (readonly number[])[]): TypedTokens {
  const tokens: number[] = []
  const types: number[] = []
  for (const part of parts)
    for (const token of 'tokens' in part ? part.tokens : (texts[part.text] ?? [])) {
      tokens.push(token)
      types.push(part.type)
    }
  return { tokens, types }
}
