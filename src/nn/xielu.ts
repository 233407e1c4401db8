import type { Device, Tensor } from '../device/device.ts'
import {
  alignmentOf,
  checkFields,
  colRange,
  defineProgram,
  type FieldsOf,
  FoveaError,
  load,
  loop,
  rowRange,
  sizeOf,
  store,
} from '../tile/index.ts'
import { elementTiles } from './elementwise.ts'

/** The learned numbers of an xIELU. */
export interface XieluNumbers {
  /** factor of x² above zero */
  readonly positive: number
  /** factor of eˣ − 1 − x below */
  readonly negative: number
  readonly beta: number
  /** eˣ is taken of min(x, eps) */
  readonly eps: number
}

export interface XieluOptions extends XieluNumbers {
  /** replaced in place */
  readonly output: Tensor // [N, D]
}

/**
 * x ← positive · x² + beta · x for x > 0, else negative · (e^min(x, eps) − 1 − x) + beta · x, element by element, in f32: xIELU
 * (Huang and Schlag 2024, Deriving Activation Functions Using Integration, arXiv 2411.13010). The numbers are run-time
 * values: layers share a program. f32, f16 or bf16 with contiguous rows. Throws `shape`, `dtype`, and what `Device.run` throws.
 */
export function xielu(device: Device, options: XieluOptions): void {
  checkFields('xielu', 'options', options, fields)
  const { output, ...numbers } = options
  const { dtype, shape } = output
  if (shape.length !== 2) throw new FoveaError('shape', 'xielu', `output must be [N, D], got [${shape.join(', ')}]`)
  if (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16')
    throw new FoveaError('dtype', 'xielu', `takes f32, f16 and bf16, got ${dtype}`)
  const [rows = 0, width = 0] = shape
  const { tileN, tileD } = elementTiles(device.kind, width)
  const program = defineProgram('xielu', (p) => {
    const to = p.update('output', dtype, [null, null], { alignment: alignmentOf(output) })
    const [positive, negative, beta, eps] = (['positive', 'negative', 'beta', 'eps'] as const).map((name) =>
      p.scalar(name, 'f32'),
    ) as [ReturnType<typeof p.scalar>, ...ReturnType<typeof p.scalar>[]]
    const own = rowRange(p.programId(0).mul(tileN), tileN) //             [tileN, 1]
    loop(
      { to: sizeOf(to, 1), step: tileD },
      {},
      (start, _, emit) => {
        const at = [own, colRange(start, tileD)] as const //              [tileN, tileD]
        const x = load(to, at).cast('f32')
        const below = x
          .min(eps as typeof positive)
          .exp()
          .sub(1)
          .sub(x)
          .mul(negative as typeof positive)
        const y = x.gt(0).select(x.mul(x).mul(positive), below)
        emit(store(to, at, y.add(x.mul(beta as typeof positive))))
        return {}
      },
      p.emit,
    )
  })
  device.run({ program, grid: [Math.ceil(rows / tileN), 1, 1], scalars: { ...numbers } }, { output })
}

const fields: FieldsOf<XieluOptions> = { positive: true, negative: true, beta: true, eps: true, output: true }
