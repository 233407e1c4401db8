import { noDisk } from '../../model/files/no-disk.browser.ts'
import type * as disk from './unpack-file.ts'

// biome-ignore lint/correctness/useYield: it throws when it is read, as the one for Node does
export const unpackFile: typeof disk.unpackFile = async function* () {
  throw noDisk('unpackFile', 'tokenArray takes tokens of texts that the page has')
}
