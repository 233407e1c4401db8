import { ApiError, clientGone } from './api-error.ts'

/**
 * The JSON of a request's body. Throws 413 as soon as it is known to be larger than `mostBytes`, without holding what
 * is beyond; 400 for what is no JSON. When the signal aborts, what there is so far counts as all.
 */
export async function readJsonBody(request: Request, mostBytes: number, signal: AbortSignal): Promise<unknown> {
  // a header that is no number compares as false; the count below holds then
  if (Number(request.headers.get('content-length')) > mostBytes) throw tooLarge(mostBytes)
  const bytes = await readBytes(request, mostBytes, signal)
  if (bytes.length === 0) throw notJson('the body is empty')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw notJson('the body is not UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw notJson(`the body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : error}`)
  }
}

async function readBytes(request: Request, mostBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = request.body?.getReader()
  const giveUp = () => void reader?.cancel().catch(() => {})
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  try {
    while (reader) {
      const { done, value } = await reader.read()
      if (done) break
      length += value.length
      if (length > mostBytes) throw tooLarge(mostBytes)
      chunks.push(value)
    }
  } catch (error) {
    throw error instanceof ApiError ? error : clientGone()
  } finally {
    signal.removeEventListener('abort', giveUp)
    reader?.releaseLock()
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** The connection is closed after it: what the client still sends would be taken for the next request. */
function tooLarge(mostBytes: number): ApiError {
  const detail = { message: `the body is larger than ${mostBytes} bytes`, code: 'body_too_large' }
  return new ApiError(413, detail, { connection: 'close' })
}

function notJson(message: string): ApiError {
  return new ApiError(400, { message, code: 'invalid_json' })
}
