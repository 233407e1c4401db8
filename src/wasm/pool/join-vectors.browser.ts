import { FoveaError } from '../../ir/error.ts'
import type * as node from './join-vectors.ts'

export const joinVectors: typeof node.joinVectors = () => {
  throw new FoveaError(
    'unsupported',
    'wasm.pool',
    'wideVectors takes Node with V8 13 or newer on x64; a page cannot set its flag',
  )
}
