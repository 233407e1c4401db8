import { randomInputs } from './attention-problem.ts'
import { checkPeer, checkShapes } from './peers/check.ts'
import { type AttentionPeer, type AttentionShape, loadPeer, type PeerName } from './peers/peer.ts'

/** What the benchmark asks of the process that holds one system. */
export type Request =
  | { readonly kind: 'check'; readonly peer: PeerName; readonly threads: number }
  | { readonly kind: 'make'; readonly peer: PeerName; readonly shape: AttentionShape; readonly threads: number }
  | { readonly kind: 'run'; readonly repeats: number }
  | { readonly kind: 'finish' }

export interface Checked {
  readonly errors: readonly number[]
}

export interface Made {
  readonly name: string
  readonly version: string
  /** From the call of `makePeer` to the end of the first run: what a user waits for, compilation included. */
  readonly firstCallMs: number
  /** Resident memory when only Node and the inputs were there. */
  readonly startBytes: number
}

export interface Ran {
  readonly msPerRun: number
}

export interface Finished {
  readonly peakBytes: number
}

export type Reply = Checked | Made | Ran | Finished | { readonly error: string }

let system: AttentionPeer | undefined

process.on('message', async (request: Request) => {
  let reply: Reply
  try {
    reply = await answer(request)
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) }
  }
  process.send?.(reply, () => {
    // some runtimes keep worker threads that hold the process open
    if (request.kind === 'finish') process.exit(0)
  })
})

async function answer(request: Request): Promise<Reply> {
  switch (request.kind) {
    case 'check': {
      const makePeer = await loadPeer(request.peer)
      const errors: number[] = []
      for (const shape of checkShapes) {
        const inputs = randomInputs(shape)
        const peer = await makePeer(shape, inputs, request.threads)
        errors.push(await checkPeer(peer, shape, inputs))
        await peer.dispose()
      }
      return { errors }
    }
    case 'make': {
      const inputs = randomInputs(request.shape)
      const startBytes = process.memoryUsage.rss()
      const makePeer = await loadPeer(request.peer)
      const start = performance.now()
      system = await makePeer(request.shape, inputs, request.threads)
      await system.run()
      const firstCallMs = performance.now() - start
      return { name: system.name, version: system.version, firstCallMs, startBytes }
    }
    case 'run': {
      if (!system) throw new Error('system-process: run before make')
      const start = performance.now()
      for (let i = 0; i < request.repeats; i++) await system.run()
      return { msPerRun: (performance.now() - start) / request.repeats }
    }
    case 'finish': {
      // before dispose, which must not hide what the calls took
      const peakBytes = process.resourceUsage().maxRSS * 1024
      await system?.dispose()
      return { peakBytes }
    }
    default:
      return request satisfies never
  }
}
