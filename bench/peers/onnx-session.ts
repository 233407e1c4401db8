import type { OrtModule, OrtTensor } from 'onnxruntime-common-subset'
import { attentionModel } from './onnx-model.ts'
import type { AttentionInputs, AttentionPeer, AttentionShape } from './peer.ts'

/** One onnxruntime session, native or WebAssembly, over the one-node model: they share their API. */
export async function onnxSession(
  ort: OrtModule,
  label: { readonly name: string; readonly version: string },
  shape: AttentionShape,
  { query, key, value }: AttentionInputs,
  options: Record<string, unknown>,
): Promise<AttentionPeer> {
  const dims = [shape.batch, shape.tokens, shape.numHeads * shape.headDim]
  const session = await ort.InferenceSession.create(attentionModel(shape), options)
  const feeds = {
    query: new ort.Tensor('float32', query, dims),
    key: new ort.Tensor('float32', key, dims),
    value: new ort.Tensor('float32', value, dims),
  }
  let output: OrtTensor | undefined
  return {
    ...label,
    async run() {
      const results = await session.run(feeds)
      output?.dispose()
      output = results.output
    },
    output() {
      if (!output) throw new Error(`${label.name}: output before run`)
      return output.data
    },
    async dispose() {
      output?.dispose()
      output = undefined
      await session.release()
    },
  }
}
