/** Exported functions that take no options: numbers, tensors, values, data that another function made, files' contents. */
export const withoutOptions: ReadonlySet<string> = new Set(
  `
  FoveaError describeDevice
  drawBlockMap retentionDecays
  causal causalBottomRight causalOffset dilated document globalSliding mask neighborhood1d neighborhood2d prefix slidingWindow
  alibi alibiSlopes chainScores denseBias forgetGate gaussianDistance relativeTable softCap
  checkChoice checkFields closestName meant differentiate isFloat expressionKey readIntervals fromBfloatBits fromHalfBits
  toBfloatBits toHalfBits operands rangeExtremes simplifyExpressions alignmentOf contiguousStrides defineProgram colRange dot
  exp exp2 full log max min rowMax rowRange rowSum scalar select sizeOf zeros longAxis longAxisId mixBits symbol Value
  indexForm describeType isInteger loadedDType promote roundTo isScalar printProgram isLeaf schedule verifyProgram
  gelu geluQuick geluTanh leakyRelu relu reluSquared sigmoid silu softplus tanh layerNormBackwardScratch
  rmsNormBackwardScratch ropeLayout ropeTableBytes loadRope ropeColumns sampleChunks sumRowsPartials fusesNorm splitExperts
  bindingLimit PageAllocator PrefixTree recentSlots
  configFields weightShapes blobSource bytesSource openFile openGguf openSafetensors writeGguf writeSafetensors
  Embedder Reranker restorePrefixFile savePrefixFile
  attentionVariant decoderSpec documentEncoder packDocuments readDocuments batchesOf textFiles tokenArray tokenSlice
  TrainableDecoder Evaluator LoraDecoder reportPage sortIds Held Variable Trainer Workspace
  `
    .trim()
    .split(/\s+/),
)
