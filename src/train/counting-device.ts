import { BackedDevice } from '../device/backed-device.ts'
import type { Backend, MemoryBlock } from '../device/backend.ts'
import type { Device } from '../device/device.ts'

/** A device like another that runs nothing and holds nothing, and counts what would be allocated: what a run needs is what it asks of this. */
export function countingDevice({ kind, info }: Device): Device {
  const backend: Backend<MemoryBlock> = {
    kind,
    info,
    spareBytes: 0,
    assertUsable: () => {},
    allocate: (_where, bytes) => ({ byteLength: bytes }),
    free: () => {},
    write: () => {},
    read: async (_where, _block, _offset, length) => new Uint8Array(length),
    check: () => {},
    run: () => {},
    record: () => ({ run: () => {}, prepare: async () => {}, dispose: () => {} }),
    prepare: async () => {},
    sync: async () => {},
    time: async (work) => {
      await work()
      return { nanoseconds: 0, clock: 'wall' }
    },
    dispose: () => {},
  }
  return new BackedDevice(backend)
}
