/** Choices that change speed and never results; each has a default made from the program and the device. */
export interface WgslTuning {
  /** rows and columns of the grid of invocations */
  readonly threadRows?: number
  readonly threadCols?: number
  /** the longest part of the inner dimension that a `dot` stages at once */
  readonly slice?: number
  /** with shader-f16: keep f16 operands of `dot` as f16 in workgroup memory, and round their f32 partners to f16 */
  readonly stageHalves?: 'none' | 'own' | 'both'
  /** steps of four along the inner dimension written out in one round of a dot's loop */
  readonly unroll?: number
}
