import type { Device, Tensor } from '../device/device.ts'
import {
  colRange,
  defineProgram,
  FoveaError,
  load,
  loop,
  type Program,
  type ProgramBuilder,
  rowRange,
  sizeOf,
  store,
  type TensorParam,
  type Value,
} from '../tile/index.ts'
import { elementTiles } from './elementwise.ts'

export interface MixStreamsOptions {
  /** S residual streams */
  readonly streams: Tensor // f32 [S, N, C]
  readonly coefficients: Tensor // f32 [N, S·S]
  readonly output: Tensor // f32 [S, N, C]
  /** the stream of this number is written here too */
  readonly active: number
  readonly copy: Tensor // f32 [N, C]
}

/**
 * output[q] = streams[q] + Σ_p coefficients[q · S + p] · streams[p], token by token: the prediction of AltUp (Baykal et al. 2023,
 * Alternating Updates for Efficient Transformers, arXiv 2301.13310). Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function mixStreams(device: Device, options: MixStreamsOptions): void {
  const { streams, coefficients, output, active, copy } = options
  const [S = 0, N = 0, C = 0] = streams.shape
  check('mixStreams', { streams, output }, [S, N, C])
  check('mixStreams', { coefficients }, [N, S * S])
  check('mixStreams', { copy }, [N, C])
  const program = streamsProgram(device, 'mix-streams', C, (p) => {
    const from = p.input('streams', 'f32', [S, null, null])
    const by = p.input('coefficients', 'f32', [null, S * S])
    const to = p.output('output', 'f32', [S, null, null])
    const also = p.output('copy', 'f32', [null, null])
    return {
      width: sizeOf(also, 1),
      write(rows, columns, emit) {
        const all = streamsAt(from, S, rows, columns)
        for (let q = 0; q < S; q++) {
          const mixed = all.reduce((sum, x, s) => sum.add(x.mul(load(by, [rows, q * S + s]))), all[q] as Value)
          emit(store(to, [q, rows, columns], mixed))
          if (q === active) emit(store(also, [rows, columns], mixed))
        }
      },
    }
  })
  device.run(kernel(device, program, N, C), { streams, coefficients, output, copy })
}

export interface CorrectStreamsOptions {
  /** what was predicted */
  readonly streams: Tensor // f32 [S, N, C]
  /** what the layer made of stream `active` */
  readonly x: Tensor // f32 [N, C]
  readonly active: number
  readonly coefficients: Tensor // f32 [N, S]
  readonly output: Tensor // f32 [S, N, C]
  readonly scale: Tensor // f32 [C]
  /** output[active] · scale */
  readonly scaled: Tensor // [N, C], f32, f16 or bf16
}

/**
 * output[q] = streams[q] + (1 + coefficients[q]) · (x − streams[active]), token by token: AltUp's correction of all streams by
 * what one of them became. Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function correctStreams(device: Device, options: CorrectStreamsOptions): void {
  const { streams, x, active, coefficients, output, scale, scaled } = options
  const [S = 0, N = 0, C = 0] = streams.shape
  check('correctStreams', { streams, output }, [S, N, C])
  check('correctStreams', { coefficients }, [N, S])
  check('correctStreams', { x }, [N, C])
  if (scaled.shape.join() !== `${N},${C}`)
    throw new FoveaError('shape', 'correctStreams', `scaled must be [${N}, ${C}], got [${scaled.shape.join(', ')}]`)
  check('correctStreams', { scale }, [C])
  const program = streamsProgram(device, 'correct-streams', C, (p) => {
    const from = p.input('streams', 'f32', [S, null, null])
    const given = p.input('x', 'f32', [null, null])
    const by = p.input('coefficients', 'f32', [null, S])
    const factors = p.input('scale', 'f32', [null])
    const to = p.output('output', 'f32', [S, null, null])
    const also = p.output('scaled', scaled.dtype, [null, null])
    return {
      width: sizeOf(given, 1),
      write(rows, columns, emit) {
        const all = streamsAt(from, S, rows, columns)
        const change = load(given, [rows, columns]).sub(all[active] as Value)
        for (const [q, stream] of all.entries()) {
          const corrected = stream.add(change.mul(load(by, [rows, q]).add(1)))
          emit(store(to, [q, rows, columns], corrected))
          if (q === active) emit(store(also, [rows, columns], corrected.mul(load(factors, [columns]))))
        }
      },
    }
  })
  device.run(kernel(device, program, N, C), { streams, x, coefficients, scale, output, scaled })
}

interface StreamsBody {
  readonly width: Value
  write(rows: Value, columns: Value, emit: ProgramBuilder['emit']): void
}

/** One program owns a few tokens and walks over their columns. Traffic: all streams in, all out. */
function streamsProgram(device: Device, name: string, C: number, body: (p: ProgramBuilder) => StreamsBody): Program {
  const { tileN, tileD } = elementTiles(device.kind, C)
  return defineProgram(name, (p) => {
    const { width, write } = body(p)
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //            [tileN, 1]
    loop(
      { to: width, step: tileD },
      {},
      (start, _, emit) => {
        write(rows, colRange(start, tileD), emit)
        return {}
      },
      p.emit,
    )
  })
}

function kernel(device: Device, program: Program, N: number, C: number) {
  const { tileN } = elementTiles(device.kind, C)
  return { program, grid: [Math.ceil(N / tileN), 1, 1] as const, scalars: {} }
}

function streamsAt(from: TensorParam, S: number, rows: Value, columns: Value): Value[] {
  return Array.from({ length: S }, (_, s) => load(from, [s, rows, columns]))
}

function check(where: string, tensors: Readonly<Record<string, Tensor>>, shape: readonly number[]): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    const got = `got ${tensor.dtype} [${tensor.shape.join(', ')}]`
    if (tensor.shape.join() !== shape.join())
      throw new FoveaError('shape', where, `${name} must be [${shape.join(', ')}], ${got}`)
    if (tensor.dtype !== 'f32') throw new FoveaError('dtype', where, `${name} must be f32, ${got}`)
  }
}
