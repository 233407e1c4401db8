import { noDisk } from './files/no-disk.browser.ts'
import type * as disk from './open-checkpoint.ts'

export const openCheckpoint: typeof disk.openCheckpoint = async () => {
  throw noDisk('openCheckpoint', 'openCheckpointFromSources opens what urlSource, blobSource and bytesSource read')
}
