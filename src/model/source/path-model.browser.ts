import { noDisk } from '../files/no-disk.browser.ts'
import type * as disk from './path-model.ts'

export const pathModel: typeof disk.pathModel = async () => {
  throw noDisk('openCheckpoint', 'a page opens addresses, hf:owner/name and Files that its user chose')
}
