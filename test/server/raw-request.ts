import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  /** 0 when the connection ended without an answer */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** A connection for sending what no HTTP client would. */
export async function rawConnection(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  // resets are what these tests provoke
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return socket
}

/** Writes, then reads until the server ends the connection. */
export async function rawRequest(port: number, ...writes: readonly (string | Uint8Array)[]): Promise<RawAnswer> {
  const socket = await rawConnection(port)
  for (const each of writes) socket.write(each)
  return await readAnswer(socket)
}

export async function readAnswer(socket: Socket): Promise<RawAnswer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const [head = '', ...rest] = Buffer.concat(chunks).toString('utf8').split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line) => line.split(/: (.*)/).slice(0, 2) as [string, string])
  return {
    status: Number(first.split(' ')[1] ?? 0),
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    text: rest.join('\r\n\r\n'),
  }
}

/** The text of a POST with a JSON body, and further header lines. */
export function post(path: string, body: string, ...lines: readonly string[]): string {
  const length = `Content-Length: ${Buffer.byteLength(body)}`
  return [`POST ${path} HTTP/1.1`, 'Host: localhost', length, ...lines, '', body].join('\r\n')
}
