import { FoveaError } from '../../tile/index.ts'
import type * as node from './start-server.ts'

export const startServer: typeof node.startServer = async () => {
  throw new FoveaError('unsupported', 'startServer', 'no page listens on a port: the server takes Node')
}
