/** Choices that change speed and never results; each has a default made from the program and the device. */
export interface WgslTuning {
  /** rows and columns of the grid of invocations */
  readonly threadRows?: number
  readonly threadCols?: number
  /** the longest part of the inner dimension that a `dot` stages at once */
  readonly slice?: number
  /**
   * with shader-f16: f16 operands of `dot` lie in workgroup memory as f32, as f16, or as f16 with their f32 partners rounded;
   * f32 by default: widening once is faster than at every read
   */
  readonly stageHalves?: 'none' | 'own' | 'both'
  /** steps of four along the inner dimension written out in one round of a dot's loop */
  readonly unroll?: number
}
