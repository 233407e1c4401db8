import {
  control,
  controlAddress,
  controlWords,
  entry,
  failureAddress,
  failureBytes,
  gate,
  kernelSlot,
  record,
  ringAddress,
  ringEntries,
  tableAddress,
} from './control-block.ts'

/** calls without scratch that bring a kernel over the engine's threshold for optimising it */
export const warmUpCalls = 600

const epochBits = Math.log2(gate.epoch)

/** how long a worker asks for the next kernel before it sleeps, in milliseconds: waking it takes about as long */
const spinMilliseconds = 0.06
/** the same where the next kernel is for the calling thread to bring, which may need the processor for it */
const idleSpinMilliseconds = 0.02

/**
 * The program of a worker, as plain JavaScript: what Node starts from this text is the same in sources, builds and bundles,
 * and the build writes it into the file from which pages start it.
 *
 * Workers go from kernel to kernel by themselves. One word, the gate, holds how many are inside the kernel that is open.
 * A worker enters by adding itself, takes programs of the grid by the counter until none is left, and leaves. The last one to
 * leave closes the gate with the same step, so that nobody is inside and nobody comes; it writes down the next kernel and
 * opens the gate again, itself inside. So a kernel ends when all who entered have left, and nobody waits for a worker that
 * sleeps. When the ring is empty the gate is idle; the pool changes its epoch to wake the workers. A worker compiles
 * a module from the shared memory when it first meets it; engines share the compiled code of equal bytes.
 */
export const serveSource = `
'use strict'
const serve = (memory, index, post) => {
  const words = new Int32Array(memory.buffer, ${controlAddress}, ${controlWords})
  let pages = 0
  let heap = words
  let seen = -1
  const instances = []
  const pause = typeof Atomics.pause === 'function' ? () => Atomics.pause() : () => {}

  // other threads make the memory grow
  const look = () => {
    if (words[${control.memoryPages}] === pages) return
    pages = words[${control.memoryPages}]
    if (memory.buffer.byteLength < pages * 65536) memory.grow(0)
    heap = new Int32Array(memory.buffer)
  }
  const kernelOf = (at) => {
    const slot = heap[at + ${record.slot}]
    const id = heap[at + ${record.id}]
    const known = instances[slot]
    if (known && known.id === id) return known.run
    const row = ${tableAddress / 4} + ${kernelSlot.words} * slot
    const start = heap[row + ${kernelSlot.pointer}] >>> 0
    const bytes = new Uint8Array(memory.buffer).slice(start, start + heap[row + ${kernelSlot.bytes}])
    const { tile, run } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports
    instances[slot] = { id, run }
    for (let call = 0; call < ${warmUpCalls}; call++) tile(0, 0, 0, 0, 0)
    Atomics.add(heap, row + ${kernelSlot.compiled}, 1)
    return run
  }
  const fail = (error) => {
    Atomics.store(words, ${control.next}, words[${control.total}])
    const text = new TextEncoder().encode(String(error && error.message || error)).slice(0, ${failureBytes})
    if (Atomics.compareExchange(words, ${control.failure}, 0, text.length || 1) === 0) new Uint8Array(memory.buffer, ${failureAddress}, text.length).set(text)
  }
  const work = () => {
    try {
      look()
      const at = words[${control.record}]
      const scratch = (words[${control.scratch}] >>> 0) + index * words[${control.scratchStride}]
      kernelOf(at)(heap[at + ${record.frame}], scratch, ${controlAddress + 4 * control.next}, heap[at + ${record.gridX}], heap[at + ${record.gridY}], heap[at + ${record.total}])
    } catch (error) {
      fail(error)
    }
  }
  // true: the gate is closed, and the next kernel is this worker's to open
  const leave = () => {
    for (;;) {
      const now = Atomics.load(words, ${control.gate})
      const last = (now & ${gate.inside}) === 1
      const then = last ? now - 1 + ${gate.closed} : now - 1
      if (Atomics.compareExchange(words, ${control.gate}, now, then) === now) return last
    }
  }
  const tell = () => {
    Atomics.add(words, ${control.signal}, 1)
    if (words[${control.messages}]) post('told')
    else Atomics.notify(words, ${control.signal})
  }
  const rest = () => {
    Atomics.store(words, ${control.gate}, words[${control.gate}] - ${gate.closed} + ${gate.idle})
    tell()
    return false
  }
  // true: the next kernel is open, with this worker inside
  const advance = () => {
    if (words[${control.failure}] !== 0) return rest()
    look()
    let cursor = words[${control.cursor}] + 1
    let at = ${ringAddress / 4} + ${entry.words} * (words[${control.completed}] & ${ringEntries - 1})
    if (cursor !== 0 && cursor === heap[at + ${entry.count}]) {
      const asked = heap[at + ${entry.tell}]
      Atomics.add(words, ${control.completed}, 1)
      cursor = 0
      at = ${ringAddress / 4} + ${entry.words} * (words[${control.completed}] & ${ringEntries - 1})
      if (asked) tell()
    }
    words[${control.cursor}] = cursor
    if (cursor === 0) {
      if (words[${control.completed}] === Atomics.load(words, ${control.pushed})) {
        words[${control.cursor}] = -1
        return rest()
      }
      look()
      words[${control.scratch}] = heap[at + ${entry.scratch}]
      words[${control.scratchStride}] = heap[at + ${entry.scratchStride}]
    }
    const next = heap[at + ${entry.records}] + ${record.words} * cursor
    const total = heap[next + ${record.total}]
    words[${control.record}] = next
    words[${control.total}] = total
    Atomics.store(words, ${control.next}, 0)
    const open = (words[${control.gate}] - ${gate.closed} + ${gate.epoch} + 1) | 0
    seen = open >> ${epochBits}
    Atomics.store(words, ${control.gate}, open)
    if (total > 1 && Atomics.load(words, ${control.sleepers}) > 0) Atomics.notify(words, ${control.gate})
    return true
  }
  // until the gate is another
  const wait = (now) => {
    const end = performance.now() + (now & ${gate.idle} ? ${idleSpinMilliseconds} : ${spinMilliseconds})
    do {
      for (let spin = 0; spin < 64; spin++) {
        if (Atomics.load(words, ${control.gate}) !== now) return
        pause()
      }
    } while (performance.now() < end)
    Atomics.add(words, ${control.sleepers}, 1)
    Atomics.wait(words, ${control.gate}, now)
    Atomics.sub(words, ${control.sleepers}, 1)
  }

  // a policy of the worker's own may forbid it, which is better known now
  new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))
  post('ready')
  while (Atomics.load(words, ${control.stop}) === 0) {
    const now = Atomics.load(words, ${control.gate})
    let inside = false
    if (now & ${gate.idle}) {
      if (words[${control.failure}] === 0 && Atomics.load(words, ${control.pushed}) !== Atomics.load(words, ${control.completed})) {
        if (Atomics.compareExchange(words, ${control.gate}, now, now - ${gate.idle} + ${gate.closed}) !== now) continue
        inside = advance()
      }
    } else if (!(now & ${gate.closed}) && now >> ${epochBits} !== seen) {
      // nothing left to take is nothing to enter for; whoever opened the kernel is inside in any case
      if (Atomics.load(words, ${control.next}) < words[${control.total}]) {
        if (Atomics.compareExchange(words, ${control.gate}, now, now + 1) !== now) continue
        inside = true
      }
      seen = now >> ${epochBits}
    }
    if (!inside) wait(now)
    else do work()
    while (leave() && advance())
  }
}
`
