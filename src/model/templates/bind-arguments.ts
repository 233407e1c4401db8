import { type Arguments, TemplateFault, type Value } from './template-value.ts'

/** Arguments by the names of a function's parameters, in their order; undefined for one that is not given. */
export function bindArguments(
  name: string,
  { positional, named }: Arguments,
  parameters: readonly string[],
): (Value | undefined)[] {
  if (positional.length > parameters.length)
    throw new TemplateFault(`${name}() takes ${parameters.length} arguments, got ${positional.length}`)
  const bound: (Value | undefined)[] = [...positional]
  while (bound.length < parameters.length) bound.push(undefined)
  for (const [key, value] of named) {
    const at = parameters.indexOf(key)
    if (at < 0) throw new TemplateFault(`${name}() got an unexpected argument '${key}'`)
    if (bound[at] !== undefined) throw new TemplateFault(`${name}() got '${key}' twice`)
    bound[at] = value
  }
  return bound
}
