import { control, controlAddress, failureAddress, failureBytes } from './control-block.ts'

/** calls without scratch that bring a kernel over the engine's threshold for optimising it */
export const warmUpCalls = 600

/**
 * The program of a worker, as plain JavaScript: sources, builds and bundles all start it from this text. It waits for a kernel,
 * takes programs of its grid until none is left, and the last worker to finish says so. A worker compiles modules from the
 * shared memory, so that it needs no messages; engines share the compiled code of equal bytes.
 */
export const workerSource = `
'use strict'
const serve = (memory, index, post) => {
  const words = new Int32Array(memory.buffer, ${controlAddress}, 32)
  const instances = new Map()
  const instance = () => {
    const id = words[${control.kernel}]
    let exports = instances.get(id)
    if (!exports) {
      const start = words[${control.modulePointer}] >>> 0
      const end = start + words[${control.moduleBytes}]
      if (memory.buffer.byteLength < end) memory.grow(0)
      const bytes = new Uint8Array(memory.buffer).slice(start, end)
      exports = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports
      instances.set(id, exports)
      for (let call = 0; call < ${warmUpCalls}; call++) exports.tile(0, 0, 0, 0, 0)
    }
    return exports
  }
  let seen = 0
  post('ready')
  for (;;) {
    for (let spin = 0; spin < 2000 && Atomics.load(words, ${control.generation}) === seen; spin++);
    Atomics.wait(words, ${control.generation}, seen)
    const generation = Atomics.load(words, ${control.generation})
    if (generation === seen) continue
    seen = generation
    if (Atomics.load(words, ${control.stop})) return
    try {
      const scratch = (words[${control.scratch}] >>> 0) + index * words[${control.scratchStride}]
      instance().run(words[${control.frame}], scratch, ${controlAddress + 4 * control.next}, words[${control.gridX}], words[${control.gridY}], words[${control.total}])
    } catch (error) {
      Atomics.store(words, ${control.next}, words[${control.total}])
      const text = new TextEncoder().encode(String(error && error.message || error)).slice(0, ${failureBytes})
      if (Atomics.compareExchange(words, ${control.failure}, 0, text.length || 1) === 0) new Uint8Array(memory.buffer, ${failureAddress}, text.length).set(text)
    }
    if (Atomics.sub(words, ${control.pending}, 1) === 1) post(generation)
  }
}
if (typeof process === 'object' && process.versions && process.versions.node && typeof require === 'function') {
  const { parentPort, workerData } = require('node:worker_threads')
  serve(workerData.memory, workerData.index, (message) => parentPort.postMessage(message))
} else {
  self.onmessage = ({ data }) => serve(data.memory, data.index, (message) => self.postMessage(message))
}
`
