import * as ort from 'onnxruntime-node'
import { onnxSession } from './onnx-session.ts'
import { type MakePeer, systems } from './peer.ts'

/** onnxruntime-node: native code on the CPU. */
export const makePeer: MakePeer = (shape, inputs, threads) => {
  const label = { name: systems['onnx-node'].title, version: ort.env.versions.node ?? 'unknown' }
  return onnxSession(ort, label, shape, inputs, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  })
}
