import type * as disk from './make-folder.ts'
import { noDisk } from './no-disk.browser.ts'

export const makeFolder: typeof disk.makeFolder = async (where) => {
  throw noDisk(where, 'run it in Node')
}
