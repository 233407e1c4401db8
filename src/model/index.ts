export { type ConfigFields, configFields } from './architectures/config-fields.ts'
export { architectures } from './architectures/find-architecture.ts'
export { weightShapes } from './architectures/weight-shapes.ts'
export type { Checkpoint } from './checkpoint.ts'
export type {
  ArchitectureName,
  AttentionSpec,
  DecoderSpec,
  LayerSpec,
  MlpSpec,
  NormSpec,
  RopeSpec,
} from './decoder-spec.ts'
export { type EncoderCheckpoint, openEncoderCheckpoint } from './encoders/encoder-checkpoint.ts'
export type { EncoderLayerSpec, EncoderSpec, Pooling, ScoreHeadSpec } from './encoders/encoder-spec.ts'
export type { TextSettings } from './encoders/text-settings.ts'
export { exportGguf, type GgufExportOptions } from './export/export-gguf.ts'
export { exportSafetensors, type SafetensorsExportOptions } from './export/export-safetensors.ts'
export { type ByteSource, blobSource, bytesSource, urlSource } from './files/byte-source.ts'
export { type GgufTable, openGguf } from './files/gguf.ts'
export { openFile } from './files/open-file.ts'
export { openSafetensors } from './files/safetensors.ts'
export type { TensorDType, TensorEntry, TensorTable } from './files/tensor-table.ts'
export { type GgufTypedValue, writeGguf } from './files/write-gguf.ts'
export { type TensorToWrite, writeSafetensors } from './files/write-safetensors.ts'
export { type DownloadOptions, downloadModel } from './hub.ts'
export { type CheckpointOptions, openCheckpoint } from './open-checkpoint.ts'
export { openCheckpointFromSources } from './open-sources.ts'
export { type ModelSource, resolveModelSource } from './source/resolve-model-source.ts'
export type { ResolvedModel } from './source/resolved-model.ts'
export type { DownloadProgress, SourceOptions } from './source/source-options.ts'
export { listModels, removeModel, type StoredModel } from './store/model-store.ts'
export type { StoreOptions } from './store/store-options.ts'
export type { ChatMessage, Tokenizer } from './tokenizer.ts'
