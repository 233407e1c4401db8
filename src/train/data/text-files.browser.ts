import { noDisk } from '../../model/files/no-disk.browser.ts'
import type * as disk from './text-files.ts'

export const textFiles: typeof disk.textFiles = async () => {
  throw noDisk('textFiles', 'tokenArray takes tokens of texts that the page has')
}
