// A program of a user's that touches every entry of the package by its types. Compiled against the packed package by each
// version of TypeScript that is supported, with the libraries that its user may have.
import { type Device, type DeviceInfo, FoveaError, openDevice } from 'fovea'
import { attention, gatedLinearAttention, plan } from 'fovea/attention'
import { PageCache } from 'fovea/cache'
import { type DeviceOptions, tiling, type WebgpuOptions } from 'fovea/device'
import { type DType, printProgram } from 'fovea/ir'
import { type Engine, type EngineOptions, type GenerationResult, openEngine, planEngine } from 'fovea/llm'
import { causal, slidingWindow } from 'fovea/masks'
import { type ByteSource, blobSource, bytesSource, type Checkpoint, openCheckpoint, urlSource } from 'fovea/model'
import { matmul } from 'fovea/nn'
import { sigmoid } from 'fovea/normalizers'
import { alibi } from 'fovea/scores'
import { type ServerOptions, startServer } from 'fovea/server'
import { defineProgram, load, store } from 'fovea/tile'
import { adamw, type BatchSource, createTrainableDecoder, createTrainer, type Trainer } from 'fovea/train'

export async function attend(): Promise<readonly number[]> {
  const device: Device = await openDevice()
  const info: DeviceInfo = device.info
  const notes: readonly string[] = info.notes
  const query = device.tensor([1, 2, 3, 4], [1, 2, 1, 2])
  const { output } = await attention(device, { query, key: query, value: query, maskMod: causal })
  device.dispose()
  return [...(await output.read()), notes.length]
}

export async function write(model: string, options: EngineOptions): Promise<string> {
  const engine: Engine = await openEngine(model, options)
  const generation = engine.generate({ prompt: 'Call me', maxTokens: 4, sampling: { temperature: 0 } })
  let text = ''
  for await (const event of generation) text += event.text
  const result: GenerationResult = await generation.result
  await engine.close()
  return text + result.text
}

export async function train(device: Device, checkpoint: Checkpoint, source: BatchSource): Promise<number> {
  const model = await createTrainableDecoder(device, { from: checkpoint })
  const trainer: Trainer = await createTrainer({ device, model, source, optimizer: adamw(), learningRate: 1e-3 })
  return (await trainer.step()).loss
}

export const gpu: WebgpuOptions = { tier: 1, powerPreference: 'low-power' }
export const options: DeviceOptions = { webgpu: gpu, wasm: { threads: 1 } }
export const bytes: ByteSource = bytesSource('a', new Uint8Array(4))
export const read: Promise<Uint8Array> = bytes.read(0, 4)
export const code: string = new FoveaError('argument', 'here', 'text').code
export const dtype: DType = 'f16'
export const serve: (engine: Engine, options: ServerOptions) => unknown = startServer
export const values = [
  ...[attention, gatedLinearAttention, plan, PageCache, tiling, printProgram, planEngine, slidingWindow, blobSource],
  ...[openCheckpoint, urlSource, matmul, sigmoid, alibi, defineProgram, load, store],
]

// @ts-expect-error a number is no device
openDevice(1)
// @ts-expect-error a GPU of the user's own is no text
openDevice('webgpu', { webgpu: { device: 'mine' } })
// @ts-expect-error a signal is an object
openEngine('model.gguf').then((engine) => engine.generate({ prompt: '', signal: 'stop' }))
