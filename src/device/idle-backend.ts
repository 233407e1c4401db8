import type { Backend, MemoryBlock } from './backend.ts'

/** A backend that runs nothing and holds nothing: devices over it count what would be allocated. What is read is zeros. */
export function idleBackend({ kind, info }: Pick<Backend<MemoryBlock>, 'kind' | 'info'>): Backend<MemoryBlock> {
  return {
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
}
