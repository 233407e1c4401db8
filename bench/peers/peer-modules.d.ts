// What the benchmark uses of its peers, declared here so that the repository type-checks without installing them.

declare module 'onnxruntime-common-subset' {
  export interface OrtTensor {
    readonly data: Float32Array
    dispose(): void
  }
  export interface OrtSession {
    run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>
    release(): Promise<void>
  }
  export interface OrtModule {
    readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OrtTensor
    readonly InferenceSession: {
      create(model: Uint8Array, options: Record<string, unknown>): Promise<OrtSession>
    }
    readonly env: {
      readonly versions: { readonly node?: string; readonly web?: string }
      readonly wasm: { numThreads: number }
    }
  }
}

declare module 'onnxruntime-node' {
  const ort: import('onnxruntime-common-subset').OrtModule
  export const Tensor: typeof ort.Tensor
  export const InferenceSession: typeof ort.InferenceSession
  export const env: typeof ort.env
}

declare module 'onnxruntime-web' {
  const ort: import('onnxruntime-common-subset').OrtModule
  export const Tensor: typeof ort.Tensor
  export const InferenceSession: typeof ort.InferenceSession
  export const env: typeof ort.env
}

declare module '@jax-js/jax' {
  export interface JaxArray {
    /** A new reference: functions consume one of each argument. */
    readonly ref: JaxArray
    blockUntilReady(): Promise<JaxArray>
    data(): Promise<Float32Array>
    dispose(): void
  }
  export function init(...devices: string[]): Promise<string[]>
  export function defaultDevice(device: string): string
  export function jit<Args extends readonly JaxArray[]>(f: (...args: Args) => JaxArray): (...args: Args) => JaxArray
  export const numpy: { array(data: Float32Array, options: { shape: number[] }): JaxArray }
  export const nn: {
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray, options: { isCausal: boolean }): JaxArray
  }
}

// beside what test/peers declares of it
declare module 'node-llama-cpp' {
  interface Sequence {
    /** index of the token that is evaluated next */
    readonly nextTokenIndex: number
    adaptStateToTokens(tokens: Token[], allowShift?: boolean): Promise<void>
    clearHistory(): Promise<void>
  }
}
