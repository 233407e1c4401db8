import { noDisk } from './files/no-disk.browser.ts'
import type * as disk from './hub.ts'

export const downloadModel: typeof disk.downloadModel = async () => {
  throw noDisk('downloadModel', "openEngine('hf:owner/name') downloads and opens a model of the Hub")
}
