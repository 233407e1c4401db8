import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  colRange,
  defineProgram,
  FoveaError,
  type Kernel,
  load,
  loop,
  type Program,
  rowRange,
  sizeOf,
  store,
  type TensorSpec,
} from '../tile/index.ts'
import { elementTiles } from './elementwise.ts'

export interface AccumulateOptions {
  readonly x: Tensor // [N, D]
  /** added to in place */
  readonly output: Tensor // [N, D]
  /** factor of x (1) */
  readonly scale?: number
}

/**
 * output += scale · x, in f32: the residual add of a sublayer that ends in a normalisation. Both are [N, D] of f32, f16 or bf16 with
 * contiguous rows; sizes are run-time values. Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function accumulate(device: Device, { x, output, scale }: AccumulateOptions): void {
  device.run(accumulateKernel(x, output, elementTiles(device.kind, x.shape[1] ?? 0), scale), { x, output })
}

/** The kernel of `accumulate`. Throws `shape` and `dtype`. */
export function accumulateKernel(
  x: TensorSpec,
  output: TensorSpec,
  tiles: { readonly tileN: number; readonly tileD: number },
  scale = 1,
): Kernel {
  const show = () => `x ${x.dtype} [${x.shape.join(', ')}], output ${output.dtype} [${output.shape.join(', ')}]`
  if (x.shape.length !== 2 || x.shape.join() !== output.shape.join())
    throw new FoveaError('shape', 'accumulate', `x and output must be [N, D] alike, got ${show()}`)
  for (const { dtype } of [x, output])
    if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16')
      throw new FoveaError('dtype', 'accumulate', `takes f32, f16 and bf16, got ${show()}`)
  const [n, d] = x.shape as readonly [number, number]
  return {
    program: accumulateProgram(x, output, tiles, scale !== 1),
    grid: [Math.ceil(n / tiles.tileN), d === 0 ? 0 : 1, 1],
    scalars: scale === 1 ? {} : { scale },
  }
}

/** One program owns tileN rows and walks over their columns. Traffic: x, and output twice. */
function accumulateProgram(
  x: TensorSpec,
  output: TensorSpec,
  { tileN, tileD }: { readonly tileN: number; readonly tileD: number },
  scaled: boolean,
): Program {
  return defineProgram('accumulate', (p) => {
    const from = p.input('x', x.dtype, [null, null], { alignment: alignmentOf(x) })
    const to = p.update('output', output.dtype, [null, null], { alignment: alignmentOf(output) })
    const scale = scaled ? p.scalar('scale', 'f32') : null
    const rows = rowRange(p.programId(0).mul(tileN), tileN) //            [tileN, 1]
    loop(
      { to: sizeOf(from, 1), step: tileD },
      {},
      (start, _, emit) => {
        const at = [rows, colRange(start, tileD)] as const //             [tileN, tileD]
        const added = load(from, at)
        emit(
          store(
            to,
            at,
            load(to, at)
              .cast('f32')
              .add(scale ? added.cast('f32').mul(scale) : added),
          ),
        )
        return {}
      },
      p.emit,
    )
  })
}
