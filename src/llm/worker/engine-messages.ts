import type { DeviceInfo, DeviceKind } from '../../device/index.ts'
import type { ModelSource } from '../../model/source/resolve-model-source.ts'
import type { DownloadProgress } from '../../model/source/source-options.ts'
import type { EngineStats } from '../engine.ts'
import type { EngineOptions } from '../engine-options.ts'
import type { GenerateRequest, GenerationEvent, GenerationResult } from '../generation.ts'
import type { MemoryPlan } from '../plan-engine.ts'
import type { ErrorMessage } from './error-message.ts'

/** Methods of the tokenizer that run in the worker. */
export const tokenizerMethods = ['encode', 'decode', 'piece', 'isSpecial', 'applyChatTemplate'] as const
export type TokenizerMethod = (typeof tokenizerMethods)[number]

/** A source whose bytes another thread reads. */
export interface RemoteSource {
  readonly index: number
  readonly name: string
  readonly size: number
}

/** A model's source as it crosses: what can be cloned as it is, sources of bytes by number. */
export type SourceMessage =
  | { readonly kind: 'cloned'; readonly source: ModelSource }
  | { readonly kind: 'source'; readonly source: RemoteSource }
  | { readonly kind: 'sources'; readonly sources: Readonly<Record<string, RemoteSource>> }

/** What the thread that asks says to the worker of an engine. */
export type ToWorker =
  | {
      readonly type: 'open'
      readonly source: SourceMessage
      readonly draft: { readonly source: SourceMessage; readonly tokens: number } | null
      readonly options: Omit<EngineOptions, 'device' | 'draftModel' | 'onProgress' | 'signal'> & {
        readonly device?: DeviceKind
      }
    }
  | { readonly type: 'abort' }
  | {
      readonly type: 'bytes'
      readonly id: number
      readonly bytes: Uint8Array | null
      readonly error: ErrorMessage | null
    }
  | { readonly type: 'generate'; readonly id: number; readonly request: Omit<GenerateRequest, 'signal'> }
  | { readonly type: 'cancel'; readonly id: number }
  /** events were received: more may come */
  | { readonly type: 'more'; readonly id: number }
  | {
      readonly type: 'call'
      readonly id: number
      readonly method: TokenizerMethod
      readonly args: readonly unknown[]
    }
  | { readonly type: 'close'; readonly drain: boolean }

/** What is known of an engine once it is open. */
export interface EngineFacts {
  readonly name: string
  readonly contextLength: number
  readonly memory: MemoryPlan
  readonly device: { readonly kind: DeviceKind; readonly info: DeviceInfo }
  readonly tokenizer: {
    readonly vocabSize: number
    readonly bosToken: number | null
    readonly eosTokens: readonly number[]
    readonly hasChatTemplate: boolean
    readonly chatTemplate?: string
  }
  readonly stats: EngineStats
}

/** What the worker says. */
export type FromWorker =
  | { readonly type: 'progress'; readonly progress: DownloadProgress }
  | {
      readonly type: 'read'
      readonly id: number
      readonly index: number
      readonly offset: number
      readonly length: number
    }
  | { readonly type: 'closeSource'; readonly index: number }
  | { readonly type: 'opened'; readonly facts: EngineFacts }
  | { readonly type: 'failed'; readonly error: ErrorMessage }
  | {
      readonly type: 'events'
      readonly id: number
      readonly events: readonly GenerationEvent[]
      readonly prefill: readonly [done: number, total: number] | null
      readonly stats: EngineStats
      /** absent while it goes on */
      readonly end?: { readonly result: GenerationResult } | { readonly error: ErrorMessage }
    }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown; readonly error: ErrorMessage | null }
  | { readonly type: 'closed'; readonly stats: EngineStats | null }
