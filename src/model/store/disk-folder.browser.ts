import { noDisk } from '../files/no-disk.browser.ts'
import type * as disk from './disk-folder.ts'

export const hasDisk: typeof disk.hasDisk = false

export const defaultCacheFolder: typeof disk.defaultCacheFolder = () => ''

export const diskFolder: typeof disk.diskFolder = () => {
  throw noDisk('modelStore', "store: 'opfs' keeps models in the Origin Private File System")
}
