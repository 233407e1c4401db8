/** One attention problem in f32: query, key and value are `[batch, tokens, numHeads, headDim]`, scale 1/√headDim. */
export interface AttentionShape {
  readonly batch: number
  readonly numHeads: number
  readonly tokens: number
  readonly headDim: number
  readonly causal: boolean
}

export interface AttentionInputs {
  readonly query: Float32Array
  readonly key: Float32Array
  readonly value: Float32Array
}

/** One system, set up for one problem. */
export interface AttentionPeer {
  readonly name: string
  readonly version: string
  /** Computes the whole problem; resolves when the result is complete. */
  run(): Promise<void>
  /** The result of the last run, `[batch, tokens, numHeads, headDim]`. */
  output(): Promise<Float32Array> | Float32Array
  dispose(): Promise<void> | void
}

/** What each file of this folder exports as `makePeer`. Throws what the system throws. */
export type MakePeer = (shape: AttentionShape, inputs: AttentionInputs, threads: number) => Promise<AttentionPeer>

/** The systems that `loadPeer` knows: each is a file of this folder. */
export const systems = {
  fovea: { title: 'fovea', materialisesScores: false },
  'fovea-wide': { title: 'fovea, wideVectors', materialisesScores: false },
  'onnx-node': { title: 'onnxruntime-node (native)', materialisesScores: true },
  'onnx-web': { title: 'onnxruntime-web (WebAssembly)', materialisesScores: true },
  'jax-js': { title: 'jax-js (WebAssembly)', materialisesScores: true },
} as const
export type PeerName = keyof typeof systems

/** The name as given, or an error that lists the known ones. */
export function peerName(name: string): PeerName {
  if (Object.hasOwn(systems, name)) return name as PeerName
  throw new Error(`peerName: no system "${name}"; there are ${Object.keys(systems).join(', ')}`)
}

/** Loads one system alone, so that a process that measures it holds nothing of the others. */
export async function loadPeer(name: PeerName): Promise<MakePeer> {
  const module = (await import(`./${name}.ts`)) as { makePeer: MakePeer }
  return module.makePeer
}
