import type { Backend, MemoryBlock } from './backend.ts'

/** A backend that runs nothing and holds nothing: devices over it count what would be allocated. What is read is zeros. */
export function idleBackend({ kind, info }: Pick<Backend<MemoryBlock>, 'kind' | 'info'>): Backend<MemoryBlock> {
  return {
    kind,
    info,
    spareBytes: 0,
    assertUsable: () => {},
    allocate: (_where, bytes) => ({ byteLength: bytes }),
    checkSize: () => {},
    free: () => {},
    write: () => {},
    read: async (_where, _block, _offset, length) => new Uint8Array(length),
    rehearse: () => {},
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

/** The same, which refuses what `backend` would: tensors beyond its limits, kernels and grids that it cannot run. */
export function rehearsingBackend(backend: Backend<MemoryBlock>): Backend<MemoryBlock> {
  const check: Backend<MemoryBlock>['check'] = (where, call) => backend.rehearse(where, call)
  return {
    ...idleBackend(backend),
    assertUsable: (where) => backend.assertUsable(where),
    checkSize: (where, bytes) => backend.checkSize(where, bytes),
    allocate(where, bytes) {
      backend.checkSize(where, bytes)
      return { byteLength: bytes }
    },
    rehearse: check,
    check,
    run: check,
    prepare: async (where, kernel) => check(where, { ...kernel, args: [] }),
  }
}
