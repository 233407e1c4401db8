import { readFileSync } from 'node:fs'
import { defaultDevice, init, type JaxArray, jit, nn, numpy } from '@jax-js/jax'
import { type MakePeer, systems } from './peer.ts'

/** jax-js: WebAssembly, jitted `nn.dotProductAttention`. In Node it runs on one thread, whatever is asked for. */
export const makePeer: MakePeer = async ({ batch, tokens, numHeads, headDim, causal }, inputs) => {
  const manifest = readFileSync(new URL('../package.json', import.meta.resolve('@jax-js/jax')), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  await init('wasm')
  defaultDevice('wasm')
  const shape = [batch, tokens, numHeads, headDim]
  const query = numpy.array(inputs.query, { shape })
  const key = numpy.array(inputs.key, { shape })
  const value = numpy.array(inputs.value, { shape })
  const attend = jit((q: JaxArray, k: JaxArray, v: JaxArray) => nn.dotProductAttention(q, k, v, { isCausal: causal }))
  let output: JaxArray | undefined
  return {
    name: systems['jax-js'].title,
    version,
    async run() {
      output?.dispose()
      output = await attend(query.ref, key.ref, value.ref).blockUntilReady()
    },
    async output() {
      if (!output) throw new Error('jax-js: output before run')
      return await output.ref.data()
    },
    dispose() {
      for (const array of [output, query, key, value]) array?.dispose()
      output = undefined
    },
  }
}
