/**
 * Several iterables as one, in the order in which values come, each with the number of its source. Of every source at
 * most one value is taken ahead, so a slow reader holds all of them back. Leaving early leaves the sources.
 */
export async function* mergeIterables<T>(
  sources: readonly AsyncIterable<T>[],
): AsyncGenerator<{ readonly source: number; readonly value: T }, void, undefined> {
  type Arrival = { readonly source: number; readonly result?: IteratorResult<T, unknown>; readonly error?: unknown }
  const iterators = sources.map((each) => each[Symbol.asyncIterator]())
  const arrived: Arrival[] = []
  let wake = () => {}
  const arrive = (arrival: Arrival) => {
    arrived.push(arrival)
    wake()
  }
  const ask = (source: number) =>
    iterators[source]?.next().then(
      (result) => arrive({ source, result }),
      (error: unknown) => arrive({ source, error }),
    )
  let open = iterators.length
  try {
    for (const source of iterators.keys()) ask(source)
    while (open > 0) {
      if (arrived.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      const { source, result, error } = arrived.shift() as Arrival
      if (!result) throw error
      if (result.done) open--
      else {
        yield { source, value: result.value }
        ask(source)
      }
    }
  } finally {
    for (const iterator of iterators) iterator.return?.()?.then(undefined, () => {})
  }
}
