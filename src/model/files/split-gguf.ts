import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import { fnv1a64 } from './fingerprint.ts'
import type { GgufValue } from './gguf-types.ts'
import { shown } from './shown.ts'
import type { TensorTable } from './tensor-table.ts'

/** A table with the metadata of its file. */
interface PartTable extends TensorTable {
  readonly metadata: ReadonlyMap<string, GgufValue>
}

/** A file beside one that was opened, by its name; null when there is none. */
export type OpenBeside = (fileName: string) => Promise<ByteSource | null>

const partName = /-(\d{5})-of-(\d{5})\.gguf$/i

/** The names of all parts of a model that one of its parts is named for (`name-00001-of-00003.gguf`); else the name alone. */
export function ggufParts(fileName: string): readonly string[] {
  const count = Number(partName.exec(fileName)?.[2] ?? 1)
  if (count < 2) return [fileName]
  const digits = (n: number) => String(n).padStart(5, '0')
  return Array.from({ length: count }, (_, i) =>
    fileName.replace(partName, `-${digits(i + 1)}-of-${digits(count)}${fileName.slice(-5)}`),
  )
}

/** Of names of .gguf files those that are opened: parts that follow the first of a model are left out. */
export function wholeGgufs(names: readonly string[]): readonly string[] {
  const ggufs = names.filter((name) => name.toLowerCase().endsWith('.gguf'))
  return ggufs.filter((name) => {
    const [first] = ggufParts(name)
    return first === name || !ggufs.includes(first ?? name)
  })
}

/** Which part of a split model a file is, from 0; null when it is a whole one. */
export function partOf(
  metadata: ReadonlyMap<string, GgufValue>,
): { readonly no: number; readonly count: number } | null {
  const [no, count] = ['split.no', 'split.count'].map((key) => metadata.get(key))
  return typeof count === 'number' && count > 1 ? { no: typeof no === 'number' ? no : 0, count } : null
}

/**
 * One table of the parts of a model, of which `first` is the first; `openPart` opens the others by their names. They are
 * taken over: closing the table closes them, and so does a failure. Throws `format` naming file and field: a part that is
 * missing, is not the one that its name says, or has a tensor that another one has, too.
 */
export async function joinParts<Table extends PartTable>(
  first: Table,
  openPart: (fileName: string) => Promise<Table | null>,
): Promise<Table> {
  const fault = (message: string) => new FoveaError('format', 'openGguf', `${first.source}: ${message}`)
  const tables = [first]
  const close = async () => {
    for (const table of tables) await table.close()
  }
  try {
    const part = partOf(first.metadata)
    const names = ggufParts(first.source.replace(/^.*[/\\]/, ''))
    if (!part || names.length !== part.count)
      throw fault(`split.count is ${part?.count}: its parts must be named name-00001-of-${part?.count}.gguf and so on`)
    if (part.no !== 0) throw fault(`this is part ${part.no + 1} of ${part.count}: open the first, ${names[0]}`)
    for (const name of names.slice(1)) {
      const table = await openPart(name)
      if (!table) throw fault(`the part ${name} of ${part.count} is missing`)
      tables.push(table)
      const [no, count] = ['split.no', 'split.count'].map((key) => table.metadata.get(key))
      if (no !== tables.length - 1 || count !== part.count)
        throw fault(`${name}: split.no is ${shown(no)} and split.count ${shown(count)}, not those of its name`)
    }
    const owners = new Map<string, Table>()
    for (const table of tables)
      for (const name of table.names()) {
        if (owners.has(name)) throw fault(`two of its parts have a tensor ${name}`)
        owners.set(name, table)
      }
    const stated = first.metadata.get('split.tensors.count')
    if (stated !== undefined && stated !== owners.size)
      throw fault(`split.tensors.count is ${shown(stated)}, its parts have ${owners.size}`)
    return {
      ...first,
      names: () => [...owners.keys()],
      has: (name) => owners.has(name),
      get: (name) => (owners.get(name) ?? first).get(name),
      async fingerprint() {
        const hash = fnv1a64()
        for (const table of tables) hash.add(new TextEncoder().encode(`${await table.fingerprint()}\n`))
        return hash.digest()
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
