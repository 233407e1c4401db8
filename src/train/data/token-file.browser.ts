import { noDisk } from '../../model/files/no-disk.browser.ts'
import type * as disk from './token-file.ts'

export const tokenizeFiles: typeof disk.tokenizeFiles = async () => {
  throw noDisk('tokenizeFiles', 'tokenArray takes tokens of texts that the page has')
}
