import { foveaPeer } from './fovea-engine.ts'

export const openPeer = foveaPeer(false)
