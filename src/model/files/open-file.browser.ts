import { noDisk } from './no-disk.browser.ts'
import type * as disk from './open-file.ts'

export const openFile: typeof disk.openFile = async () => {
  throw noDisk('openFile', 'blobSource reads a File that its user chose, urlSource an address')
}
