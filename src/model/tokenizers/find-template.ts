import { FoveaError } from '../../tile/index.ts'
import { isRecord } from '../architectures/config-fields.ts'
import type { ChatTemplate, ChatVariables } from '../chat-template.ts'
import { shown } from '../files/shown.ts'
import { type ModelFiles, readObject, readText } from '../model-files.ts'
import type { ChatMessage } from '../tokenizer.ts'

/**
 * The chat template of a folder: chat_template.jinja, else that of tokenizer_config.json (`inConfig`), else that of
 * chat_template.json, else null. A field may have several by name: "tool_use" is for conversations with tools, "default" for
 * all others. Throws `format` naming file and field.
 */
export async function findTemplate(files: ModelFiles, inConfig: unknown): Promise<ChatTemplate | null> {
  const jinja = await readText(files, 'chat_template.jinja')
  if (jinja !== null) return templateOf(`${files.name}/chat_template.jinja`, jinja)
  const own = await ofField(`${files.name}/tokenizer_config.json: chat_template`, inConfig)
  if (own) return own
  const alone = await readObject(files, 'chat_template.json')
  return ofField(`${files.name}/chat_template.json: chat_template`, alone?.chat_template)
}

async function ofField(field: string, value: unknown): Promise<ChatTemplate | null> {
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return templateOf(field, value)
  const named = isRecord(value) ? Object.entries(value) : Array.isArray(value) ? value.map(entryOf) : []
  const texts = new Map<string, string>()
  for (const [name, template] of named) {
    if (typeof name === 'string' && typeof template === 'string') texts.set(name, template)
    else texts.clear()
  }
  if (texts.size === 0 || texts.size < named.length)
    throw new FoveaError('format', 'openCheckpoint', `${field} must be a text, or texts by name, got ${shown(value)}`)
  const made = await Promise.all(
    [...texts].map(async ([name, text]) => [name, await templateOf(`${field}.${name}`, text)] as const),
  )
  const templates = new Map(made)
  const plain = templates.get('default') ?? made[0]?.[1]
  const tools = templates.get('tool_use')
  return plain && tools && plain !== tools ? withTools(plain, tools) : (plain ?? null)
}

/** The interpreter of templates is loaded for a model that has one. */
async function templateOf(file: string, source: string): Promise<ChatTemplate> {
  const { chatTemplate } = await import('../chat-template.ts')
  return chatTemplate(file, source)
}

const entryOf = (entry: unknown): [unknown, unknown] => (isRecord(entry) ? [entry.name, entry.template] : [null, null])

/** One template for conversations with tools, be it none of them, another for those without. */
function withTools(plain: ChatTemplate, tools: ChatTemplate): ChatTemplate {
  const chosen = ({ arguments: given }: ChatVariables) => ((given?.tools ?? null) === null ? plain : tools)
  const text = (messages: readonly ChatMessage[], variables: ChatVariables) => chosen(variables)(messages, variables)
  const render: ChatTemplate['render'] = (messages, variables) => chosen(variables).render(messages, variables)
  return Object.assign(text, { render, source: plain.source })
}
