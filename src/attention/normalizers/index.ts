export type { Normalizer, RowState } from './normalizer.ts'
export { sigmoid } from './sigmoid.ts'
export { softmax } from './softmax.ts'
export { softpick } from './softpick.ts'
