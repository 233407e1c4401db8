// Tries the mutations `from` … `to` − 1 of a seed, one after the other, and says of each what came of it. Run by
// scripts/fuzz.mjs, which ends it where it hangs and begins another where it dies.
import { readFileSync } from 'node:fs'
import { openDevice } from '../../src/device/index.ts'
import { FoveaError } from '../../src/tile/index.ts'
import { makeBaseFiles } from './base-files.ts'
import { drawOf } from './draw.ts'
import { fileKinds } from './file-kinds.ts'

const [seed = 1, from = 0, to = 1] = process.argv.slice(2).map(Number)
/** what no file may bring about, although it has a type: kernels that fail, things used after they were given back */
const wrongCodes: readonly string[] = ['compile', 'device', 'disposed', 'cancelled']

const device = await openDevice('wasm', { wasm: { threads: 1 } })
const kinds = await fileKinds(device, await makeBaseFiles(device))
const dealt = kinds.flatMap((kind) => Array.from({ length: kind.share }, () => kind))
let allocated = device.memory.allocated

for (let index = from; index < to; index++) {
  const draw = drawOf(seed * 1_000_003 + index)
  const kind = draw.pick(dealt)
  process.send?.({ index, kind: kind.name })
  const [began, cpu] = [performance.now(), process.cpuUsage()]
  const outcome = await kind.attempt(draw).then(
    () => ({ code: 'opened' }),
    (error: unknown) => {
      // weights that a flipped bit has made NaN give no logits, and the engine says so
      const noNumbers = error instanceof FoveaError && error.message.includes('are not numbers')
      const typed = error instanceof FoveaError && (noNumbers || !wrongCodes.includes(error.code))
      if (typed) return { code: error.code, message: error.message }
      return { code: 'fault', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    },
  )
  const { user, system } = process.cpuUsage(cpu)
  const ms = Math.min(performance.now() - began, (user + system) / 1000)
  const left = device.memory.allocated - allocated
  allocated += left
  process.send?.({ index, kind: kind.name, ms, peak: peakBytes(), ...outcome, ...(left !== 0 && { left }) })
}
// what was sent is delivered before the process ends, and with it whatever still runs
process.send?.({ done: true }, () => process.exit(0))

/** The most memory that was resident: of this program, while rusage counts the parent's before exec. */
function peakBytes(): number {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
    if (peak !== undefined) return 1024 * Number(peak)
  } catch {
    // no Linux
  }
  return 1024 * process.resourceUsage().maxRSS
}
