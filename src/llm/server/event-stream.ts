export interface EventStreamOptions {
  /** a comment is sent after this time without an event, so that nothing between here and the client hangs up */
  readonly heartbeatMs: number
  /** how long a reader may leave what it was given unread */
  readonly stallMs: number
  readonly onStall: () => void
  /** called once, when the reader has taken the last event or has gone */
  readonly onEnd: (complete: boolean) => void
}

/**
 * Server-sent events of the strings of an iterator, which must not throw. The reader pulls: at most one event is taken
 * ahead of it.
 */
export function eventStream(
  events: AsyncGenerator<string, void, undefined>,
  options: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let stall: ReturnType<typeof setTimeout> | undefined
  let heartbeat: ReturnType<typeof setInterval> | undefined
  let ended = false
  const end = (complete: boolean) => {
    if (ended) return
    ended = true
    clearTimeout(stall)
    clearInterval(heartbeat)
    options.onEnd(complete)
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      clearTimeout(stall)
      heartbeat = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': still at work\n\n'))
      }, options.heartbeatMs)
      const { done, value } = await events.next()
      clearInterval(heartbeat)
      if (ended) return
      if (done) {
        end(true)
        controller.close()
        return
      }
      controller.enqueue(encoder.encode(`data: ${value}\n\n`))
      stall = setTimeout(options.onStall, options.stallMs)
    },
    cancel() {
      end(false)
      // settles when what it waits for does: whoever is told of the end sees to that
      events.return().then(undefined, () => {})
    },
  })
}
