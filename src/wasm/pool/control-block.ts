/**
 * Words of the block through which the pool and its workers talk, as indices of an Int32Array at `controlAddress`. What
 * different threads write often lies on cache lines of its own.
 */
export const control = {
  /** epoch, flags and the number of workers inside the kernel that is open: see `gate` */
  gate: 0,
  /** the next program of the grid to take */
  next: 16,
  /** written by the worker that opens a kernel: its record as an index of words, its programs, the workers' scratch */
  record: 32,
  total: 33,
  scratch: 34,
  scratchStride: 35,
  /** index of the kernel among those of its entry, −1 when the next entry has not begun */
  cursor: 36,
  /** entries done; the one in turn is the next */
  completed: 37,
  /** entries in the ring since the beginning */
  pushed: 48,
  memoryPages: 49,
  stop: 50,
  /** 1: the pool cannot wait for `signal` and wants a message */
  messages: 51,
  /** workers that wait for the gate to change */
  sleepers: 64,
  /** grows when the ring ran empty, an entry that asked for it is done, or a kernel failed */
  signal: 80,
  /** length of the text that says what went wrong, 0 when nothing did */
  failure: 81,
} as const

/** The parts of the word `gate`: nobody enters while it is closed or idle; who closes it opens the next kernel. */
export const gate = {
  inside: 1023,
  closed: 1 << 10,
  idle: 1 << 11,
  epoch: 1 << 12,
} as const

/** A kernel to run, in words: slot of the table and its id, address of the arguments, grid, programs. */
export const record = { words: 16, slot: 0, id: 1, frame: 2, gridX: 3, gridY: 4, total: 5 } as const

/** An entry of the ring, in words: where its records are, how many; a kernel that stands alone lies in the entry itself. */
export const entry = {
  words: 128,
  records: 0,
  count: 1,
  scratch: 2,
  scratchStride: 3,
  /** 1: say so when it is done */
  tell: 4,
  ownRecord: 16,
  ownFrame: 32,
} as const

/** A kernel known to the workers, in words. */
export const kernelSlot = { words: 4, id: 0, pointer: 1, bytes: 2, compiled: 3 } as const

export const maxThreads = gate.inside
export const controlAddress = 64
export const controlWords = 96
export const failureAddress = 512
export const failureBytes = 512
export const tableAddress = 1024
export const tableSlots = 1024
export const ringAddress = tableAddress + tableSlots * kernelSlot.words * 4
/** a power of two */
export const ringEntries = 256
/** where the memory of tensors, scratch and recordings starts */
export const heapAddress = ringAddress + ringEntries * entry.words * 4
export const maxFrameBytes = 15360
