import { fromPlain } from './from-plain.ts'
import { plain, type Text } from './marked-text.ts'
import { runTemplate } from './run-template.ts'
import { TemplateBudget } from './template-budget.ts'
import { templateGlobals } from './template-globals.ts'
import type { Body } from './template-nodes.ts'
import { TemplateScope } from './template-scope.ts'

/** What a template wrote. */
export interface RenderedTemplate {
  readonly text: string
  /** begin and end of each part that came from the caller, in UTF-16 units, in order */
  readonly given: readonly (readonly [number, number])[]
}

export interface TemplateNames {
  /** texts that the model's own files give, such as the begin token: they are no part of what is given */
  readonly trusted: Readonly<Record<string, string | boolean>>
  /** what the caller gives */
  readonly given: Readonly<Record<string, unknown>>
  /** what `strftime_now` tells */
  readonly now: () => Date
}

/**
 * Renders a parsed template. It ends after a number of steps that grows with what is given, whatever the template does.
 * Throws a TemplateFault with what it says or does wrong.
 */
export function renderTemplate(body: Body, { trusted, given, now }: TemplateNames): RenderedTemplate {
  let size = 0
  const values = Object.entries(given).map(([name, value]) => {
    const own = fromPlain(value, (more) => {
      size += more
    })
    return [name, own] as const
  })
  const budget = new TemplateBudget(size)
  const scope = new TemplateScope(null)
  for (const [name, value] of templateGlobals(budget, now)) scope.set(name, value)
  for (const [name, value] of Object.entries(trusted)) scope.set(name, value)
  for (const [name, value] of values) scope.set(name, value)
  const text = runTemplate(budget, scope, body)
  return { text: plain(text), given: partsOf(text) }
}

function partsOf(text: Text): (readonly [number, number])[] {
  const marks = typeof text === 'string' ? [] : text.marks
  return Array.from({ length: marks.length / 2 }, (_, i) => [marks[2 * i] ?? 0, marks[2 * i + 1] ?? 0] as const)
}
