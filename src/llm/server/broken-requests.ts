import type { Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ApiError } from './api-error.ts'

/**
 * Answers what never becomes a request (no HTTP, headers too large, too slow) with an error of the API, and closes the
 * connection. Where an answer is being written already, the connection is closed without a word.
 */
export function answerBrokenRequests(server: Server): void {
  const answers = new WeakMap<Duplex, ServerResponse>()
  server.on('request', (request, response) => answers.set(request.socket, response))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const current = answers.get(socket)
    const midAnswer = current?.headersSent && !current.writableFinished
    if (error.code === 'ECONNRESET' || !socket.writable || midAnswer) {
      socket.destroy()
      return
    }
    const { status, body } = describe(error.code)
    const text = JSON.stringify(body)
    const head = [
      `HTTP/1.1 ${status} ${status === 408 ? 'Request Timeout' : 'Bad Request'}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(text)}`,
      'Connection: close',
    ]
    socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy())
  })
}

function describe(code: string | undefined): ApiError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new ApiError(408, { message: 'the request did not arrive in time', code: 'request_timeout' })
  if (code === 'HPE_HEADER_OVERFLOW')
    return new ApiError(431, { message: 'the headers are too large', code: 'headers_too_large' })
  return new ApiError(400, { message: 'this is not an HTTP request', code: 'invalid_http' })
}
