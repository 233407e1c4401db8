import { foveaOnWasm } from './fovea-on-wasm.ts'

export const makePeer = foveaOnWasm('fovea', false)
