import { bert } from './bert.ts'
import type { EncoderArchitecture } from './encoder-architecture.ts'
import { eurobert } from './eurobert.ts'
import { modernbert } from './modernbert.ts'
import { nomicBert } from './nomic-bert.ts'
import { roberta } from './roberta.ts'

/** All encoders that are known. */
export const encoders: readonly EncoderArchitecture[] = [bert, roberta, modernbert, nomicBert, eurobert]

/** The encoder of a `model_type`, undefined where none is known by it. */
export function findEncoder(modelType: string): EncoderArchitecture | undefined {
  return encoders.find(({ modelTypes }) => modelTypes.includes(modelType))
}
