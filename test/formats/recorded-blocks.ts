import { existsSync, readFileSync } from 'node:fs'
import { bytesSource } from '../../src/model/files/byte-source.ts'
import { openSafetensors } from '../../src/model/files/safetensors.ts'

const root = new URL('../../../shared/golden/formats/', import.meta.url)

export const recordedBlocksAreHere = existsSync(root)

/** Blocks of a format with their values, as the python package gguf reads and writes them. */
export interface RecordedBlocks {
  readonly rows: number
  readonly cols: number
  readonly bytes: Uint8Array
  readonly values: Float32Array
  /** values and the bytes that they are quantised to, where the package quantises */
  readonly quantised: { readonly rows: number; readonly values: Float32Array; readonly bytes: Uint8Array } | null
}

export async function recordedBlocks(format: string): Promise<RecordedBlocks> {
  const file = new Uint8Array(readFileSync(new URL(`${format}.safetensors`, root)))
  const table = await openSafetensors(bytesSource(format, file))
  const bytes = async (name: string) => (await table.get(name).read()).slice()
  const floats = async (name: string) => new Float32Array((await bytes(name)).buffer)
  const [rows = 0, cols = 0] = table.get('values').shape
  const quantised = table.has('quantised_in')
    ? {
        rows: table.get('quantised_in').shape[0] ?? 0,
        values: await floats('quantised_in'),
        bytes: await bytes('quantised_bytes'),
      }
    : null
  return { rows, cols, bytes: await bytes('bytes'), values: await floats('values'), quantised }
}
