import { serveSource } from './worker-source.ts'

/** The program in a Web Worker, started from this text or from the file that the build writes of it. */
export const pageWorkerSource = `${serveSource}
self.onmessage = ({ data }) => serve(data.memory, data.index, (message) => self.postMessage(message))
`
