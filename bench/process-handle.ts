import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

/** Requests that a process answers, by their kind, each with its answer. */
export type Answers<Request extends { readonly kind: string }> = { readonly [Kind in Request['kind']]: unknown }

/** A process of its own for one system: its peak memory is its own, and a crash is its own. */
export class ProcessHandle<Request extends { readonly kind: string }, Reply extends Answers<Request>> {
  readonly #child: ChildProcess

  /** @param file of this folder, which answers each message with one */
  constructor(file: string) {
    this.#child = fork(join(import.meta.dirname, file), { serialization: 'advanced' })
  }

  /** Rejects with the system's error, when the process dies, or after `limitMs`. */
  ask<Kind extends Request['kind']>(request: Request & { kind: Kind }, limitMs = 300_000): Promise<Reply[Kind]> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void) => {
        clearTimeout(timer)
        child.off('message', onMessage)
        child.off('exit', onExit)
        settled()
      }
      const onMessage = (reply: Reply[Kind] | { readonly error: string }) =>
        settle(() => (isError(reply) ? reject(new Error(reply.error)) : resolve(reply)))
      const onExit = (code: number | null, signal: string | null) =>
        settle(() => reject(new Error(`the process ended (${signal ?? code})`)))
      const timer = setTimeout(() => settle(() => reject(new Error(`no answer in ${limitMs / 1000} s`))), limitMs)
      child.on('message', onMessage)
      child.on('exit', onExit)
      if (!child.connected) onExit(child.exitCode, child.signalCode)
      else child.send(request)
    })
  }

  /** Ends the process, whatever it is doing. */
  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

function isError(reply: unknown): reply is { readonly error: string } {
  return typeof reply === 'object' && reply !== null && 'error' in reply
}
