/** Words of the block through which the pool and its workers talk, as indices of an Int32Array at `controlAddress`. */
export const control = {
  /** grows by one for each kernel; idle workers wait on it */
  generation: 0,
  /** the next program of the grid to take */
  next: 1,
  /** workers that have not finished the kernel */
  pending: 2,
  stop: 3,
  kernel: 4,
  modulePointer: 5,
  moduleBytes: 6,
  frame: 7,
  gridX: 8,
  gridY: 9,
  total: 10,
  scratch: 11,
  scratchStride: 12,
  /** length of the text that says what went wrong, 0 when nothing did */
  failure: 13,
} as const

export const controlAddress = 64
export const failureAddress = 256
export const failureBytes = 512
export const frameAddress = 1024
/** where the memory of tensors and scratch starts */
export const heapAddress = 16384
export const maxFrameBytes = heapAddress - frameAddress
