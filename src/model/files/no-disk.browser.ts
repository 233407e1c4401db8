import { FoveaError } from '../../tile/index.ts'

/** What a function that reads or writes files throws in a page: `unsupported`, with what to use there instead. */
export function noDisk(where: string, instead: string): FoveaError {
  return new FoveaError('unsupported', where, `a page has no files of its own to open by path; ${instead}`)
}
