import { noDisk } from './no-disk.browser.ts'
import type * as disk from './write-aside.ts'

export const writeAside: typeof disk.writeAside = async () => {
  throw noDisk('writeAside', 'run it in Node')
}
