import * as ort from 'onnxruntime-web'
import { onnxSession } from './onnx-session.ts'
import { type MakePeer, systems } from './peer.ts'

/** onnxruntime-web: WebAssembly SIMD with threads. The number of threads is the process's: its first session decides. */
export const makePeer: MakePeer = (shape, inputs, threads) => {
  ort.env.wasm.numThreads = threads
  const label = { name: systems['onnx-web'].title, version: ort.env.versions.web ?? 'unknown' }
  return onnxSession(ort, label, shape, inputs, { executionProviders: ['wasm'] })
}
