/** how long others may wait, in milliseconds */
const sliceMs = 8

/** Runs steps to their end at once. */
export function atOnce<T>(steps: Iterator<undefined, T, undefined>): T {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** Runs steps to their end in slices of some milliseconds, between which timers, requests and frames have their turn. */
export async function inSlices<T>(steps: Iterator<undefined, T, undefined>): Promise<T> {
  for (let started = performance.now(); ; ) {
    const step = steps.next()
    if (step.done) return step.value
    if (performance.now() - started < sliceMs) continue
    await new Promise((resolve) => setTimeout(resolve))
    started = performance.now()
  }
}
