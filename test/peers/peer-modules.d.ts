/** What the judge uses of llama.cpp's binding, so that types are checked where it is not installed. */
declare module 'node-llama-cpp' {
  type Token = number
  interface Output {
    readonly next: { readonly token?: Token; readonly probabilities?: ReadonlyMap<Token, number> }
  }
  interface Sequence {
    controlledEvaluate(input: readonly (readonly [Token, object])[]): Promise<readonly (Output | undefined)[]>
    evaluate(tokens: readonly Token[], options: object): AsyncIterable<Token>
  }
  interface Context {
    getSequence(): Sequence
    dispose(): Promise<void>
  }
  interface Model {
    createContext(options: object): Promise<Context>
    createEmbeddingContext(options: object): Promise<{
      getEmbeddingFor(text: string): Promise<{ readonly vector: readonly number[] }>
      dispose(): Promise<void>
    }>
    tokenize(text: string, specialTokens: boolean): readonly Token[]
    dispose(): Promise<void>
  }
  export const LlamaLogLevel: { readonly error: string }
  export function getLlama(options: object): Promise<{
    loadModel(options: object): Promise<Model>
    dispose(): Promise<void>
  }>
}
