import type * as node from './processors.ts'

export const processors: typeof node.processors = () => navigator.hardwareConcurrency ?? 1
