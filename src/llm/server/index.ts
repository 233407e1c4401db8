export type { RequestEntry, ServerLimits, ServerOptions } from './server-options.ts'
export { type CloseOptions, type Server, startServer } from './start-server.ts'
