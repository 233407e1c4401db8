export { type AdamWOptions, adamw } from './adamw.ts'
export { type AuonOptions, auon } from './auon.ts'
export {
  type ChosenOptimizers,
  chooseOptimizers,
  isHiddenMatrix,
  type OptimizerConfig,
  type OptimizerName,
  optimizerDefaults,
} from './choose-optimizers.ts'
export { type LambOptions, lamb } from './lamb.ts'
export { type LionOptions, lion } from './lion.ts'
export { type MuonOptions, muon } from './muon.ts'
export {
  type CurvatureEstimate,
  type Optimizer,
  type OptimizerMemory,
  type ScratchTensor,
  stepFields,
  stepIndex,
} from './optimizer.ts'
export { type SgdOptions, sgd } from './sgd.ts'
export { type SophiaOptions, sophia } from './sophia.ts'
