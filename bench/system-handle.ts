import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { Checked, Finished, Made, Ran, Reply, Request } from './system-process.ts'

interface ReplyTo {
  check: Checked
  make: Made
  run: Ran
  finish: Finished
}

/** A process of its own for one system: its peak memory is its own, and a crash is its own. */
export class SystemHandle {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, 'system-process.ts'), { serialization: 'advanced' })

  /** Rejects with the system's error, when the process dies, or after `limitMs`. */
  ask<Kind extends Request['kind']>(request: Request & { kind: Kind }, limitMs = 300_000): Promise<ReplyTo[Kind]> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void) => {
        clearTimeout(timer)
        child.off('message', onMessage)
        child.off('exit', onExit)
        settled()
      }
      const onMessage = (reply: Reply) =>
        settle(() => ('error' in reply ? reject(new Error(reply.error)) : resolve(reply as ReplyTo[Kind])))
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
