// What platforms declare and public types mention. The build puts this file into dist, and imports from it into the
// declarations that mention one of these names: the type is the platform's own where the user's program knows it (lib.dom,
// @types/node, @webgpu/types), and else the little that tells such an object from others. So no program needs a library for
// what it does not use.

export type AbortSignal = typeof globalThis extends { AbortSignal: { prototype: infer Own } }
  ? Own
  : { readonly aborted: boolean; throwIfAborted(): void }

export type Blob = typeof globalThis extends { Blob: { prototype: infer Own } }
  ? Own
  : { readonly size: number; readonly type: string; arrayBuffer(): Promise<ArrayBuffer> }

export type File = typeof globalThis extends { File: { prototype: infer Own } }
  ? Own
  : Blob & { readonly name: string; readonly lastModified: number }

export type FileList = typeof globalThis extends { FileList: { prototype: infer Own } }
  ? Own
  : { readonly length: number; item(index: number): File | null }

export type FileSystemFileHandle = typeof globalThis extends { FileSystemFileHandle: { prototype: infer Own } }
  ? Own
  : { readonly kind: 'file'; readonly name: string; getFile(): Promise<File> }

export type FileSystemDirectoryHandle = typeof globalThis extends {
  FileSystemDirectoryHandle: { prototype: infer Own }
}
  ? Own
  : { readonly kind: 'directory'; readonly name: string; getFileHandle(name: string): Promise<FileSystemFileHandle> }

export type URL = typeof globalThis extends { URL: { prototype: infer Own } }
  ? Own
  : { readonly href: string; readonly pathname: string; readonly protocol: string }

export type Worker = typeof globalThis extends { Worker: { prototype: infer Own } }
  ? Own
  : { postMessage(message: unknown): void; terminate(): void }

export type Response = typeof globalThis extends { Response: { prototype: infer Own } }
  ? Own
  : { readonly ok: boolean; readonly status: number; arrayBuffer(): Promise<ArrayBuffer> }

export declare const fetch: typeof globalThis extends { fetch: infer Own }
  ? Own
  : (input: string | URL, init?: object) => Promise<Response>

export type GPUDevice = typeof globalThis extends { GPUDevice: { prototype: infer Own } }
  ? Own
  : { readonly limits: object; readonly queue: object; readonly lost: Promise<object>; destroy(): void }

export type GPUAdapter = typeof globalThis extends { GPUAdapter: { prototype: infer Own } }
  ? Own
  : { readonly limits: object; readonly info: object; requestDevice(descriptor?: object): Promise<GPUDevice> }

export type GPUBuffer = typeof globalThis extends { GPUBuffer: { prototype: infer Own } }
  ? Own
  : { readonly size: number; readonly usage: number; mapAsync(mode: number): Promise<void>; destroy(): void }

export type GPUPowerPreference = 'low-power' | 'high-performance'
