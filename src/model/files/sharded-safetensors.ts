import { FoveaError } from '../../tile/index.ts'
import type { ByteSource } from './byte-source.ts'
import { fnv1a64 } from './fingerprint.ts'
import { maxJsonBytes, parseJson } from './parse-json.ts'
import { openSafetensors } from './safetensors.ts'
import { shown } from './shown.ts'
import type { TensorTable } from './tensor-table.ts'

/**
 * Opens `model.safetensors.index.json`: { weight_map: { tensor: file } } beside several safetensors files, which
 * `openShard` opens by their names. All of them are opened and checked at once; closing the table, or a failure, closes them.
 *
 * Throws `format` naming index, shard and tensor: no JSON, no weight_map, a shard that is no plain file name, a shard
 * without a tensor that the index sees in it; what `openSafetensors` throws; what `openShard` throws.
 */
export async function openShardedSafetensors(
  index: ByteSource,
  openShard: (fileName: string) => Promise<ByteSource>,
): Promise<TensorTable> {
  const shards = new Map<string, TensorTable>()
  const closeAll = async () => {
    for (const shard of shards.values()) await shard.close()
    await index.close()
  }
  let weightMap: ReadonlyMap<string, string>
  try {
    if (index.size > maxJsonBytes)
      throw new FoveaError('format', 'openSafetensors', `${index.name} has ${index.size} bytes, over ${maxJsonBytes}`)
    weightMap = readWeightMap(await index.read(0, index.size), index.name)
    for (const fileName of new Set(weightMap.values()))
      shards.set(fileName, await openSafetensors(await openShard(fileName)))
    for (const [tensor, fileName] of weightMap)
      if (!shards.get(fileName)?.has(tensor))
        throw new FoveaError('format', 'openSafetensors', `${index.name}: ${fileName} has no tensor ${tensor}`)
  } catch (error) {
    await closeAll()
    throw error
  }
  return {
    source: index.name,
    metadata: new Map([...shards.values()].flatMap((shard) => [...shard.metadata])),
    names: () => [...weightMap.keys()],
    has: (name) => weightMap.has(name),
    get(name) {
      const shard = shards.get(weightMap.get(name) ?? '')
      if (!shard) throw new FoveaError('format', 'tensorTable', `${index.name} has no tensor ${name}`)
      return shard.get(name)
    },
    async fingerprint() {
      const hash = fnv1a64()
      for (const name of [...shards.keys()].sort())
        hash.add(new TextEncoder().encode(`${name}:${await shards.get(name)?.fingerprint()}\n`))
      return hash.digest()
    },
    close: closeAll,
  }
}

function readWeightMap(bytes: Uint8Array, name: string): Map<string, string> {
  const fault = (message: string, cause?: unknown) =>
    new FoveaError('format', 'openSafetensors', `${name}: ${message}`, { cause })
  let parsed: unknown
  try {
    parsed = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw fault(`no JSON: ${(cause as Error).message}`, cause)
  }
  const weightMap = (parsed as { weight_map?: unknown } | null)?.weight_map
  if (typeof weightMap !== 'object' || weightMap === null || Array.isArray(weightMap)) throw fault('no weight_map')
  // a file beside the index: an index from elsewhere does not choose what else is read
  for (const [tensor, file] of Object.entries(weightMap))
    if (typeof file !== 'string' || !/^[^/\\]+$/.test(file) || file === '.' || file === '..')
      throw fault(`weight_map: ${tensor}: ${shown(file)} is no file name`)
  return new Map(Object.entries(weightMap))
}
