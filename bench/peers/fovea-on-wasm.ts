import { readFileSync } from 'node:fs'
import { attention } from '../../src/attention/index.ts'
import { causal as causalMask } from '../../src/attention/masks/index.ts'
import { openDevice, type Tensor } from '../../src/device/index.ts'
import { type MakePeer, systems } from './peer.ts'

/** fovea on WebAssembly, from its sources; `wideVectors` joins vectors into 256-bit ones by an experimental flag of V8. */
export const foveaOnWasm =
  (system: 'fovea' | 'fovea-wide', wideVectors: boolean): MakePeer =>
  async ({ batch, tokens, numHeads, headDim, causal }, inputs, threads) => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    const device = await openDevice('wasm', { wasm: { threads, wideVectors } })
    const shape = [batch, tokens, numHeads, headDim]
    const query = device.tensor(inputs.query, shape)
    const key = device.tensor(inputs.key, shape)
    const value = device.tensor(inputs.value, shape)
    let output: Tensor | undefined
    return {
      name: systems[system].title,
      version,
      async run() {
        output?.dispose()
        const result = await attention(device, { query, key, value, ...(causal && { maskMod: causalMask }) })
        result.lse.dispose()
        output = result.output
        await device.sync()
      },
      async output() {
        if (!output) throw new Error('fovea: output before run')
        return (await output.read()) as Float32Array
      },
      dispose: () => device.dispose(),
    }
  }
