import type { DeviceInfo, DeviceKind, WebgpuTier } from '../../device/device-info.ts'
import { alignmentOf, type Kernel, longAxis, type Program, type TensorSpec } from '../../tile/index.ts'
import { matmulTiles } from '../matmul-tiles.ts'
import type { ExpertRows } from './expert-rows.ts'
import type { LinearSpec } from './linear-frame.ts'
import { fewRowsPanelProgram, manyRowsPanelProgram, type PanelTiles } from './panel-programs.ts'
import { fewRows, panelWidth, placedFormats, scaleRun } from './placed-format.ts'
import type { ProgramStore } from './program-store.ts'
import { fewRowsProgram, manyRowsProgram, type RowTiles } from './row-programs.ts'

/** How a weight is multiplied by so many rows; one program each for 1, 2 to 4, 5 to 16 and more rows. */
type Method =
  | { readonly kind: 'few panels'; readonly tileM: number }
  | { readonly kind: 'many panels'; readonly tiles: PanelTiles }
  | { readonly kind: 'few rows'; readonly tiles: RowTiles }
  | { readonly kind: 'many rows'; readonly tiles: ReturnType<typeof matmulTiles> }

/** The kernel that fits the number of rows; its program is kept in `programs`. `scalars`: those of LinearFrame and of a norm. */
export function linearKernel(
  spec: LinearSpec,
  device: { readonly kind: DeviceKind; readonly info: Pick<DeviceInfo, 'tier'> },
  programs: ProgramStore<Program>,
  scalars: Kernel['scalars'],
  /** tiles of a work list of experts, whose length the kernel does not know */
  tileCount = 0,
): Kernel {
  const [rows, outputs] = spec.output.shape as readonly [number, number]
  const { x, output, norm, bias, gated, accumulate, activation, combine, planes, experts } = spec
  const method = experts ? expertMethod(spec, experts, device) : methodFor(spec, device, rows)
  const key = [
    method.kind,
    scaleRun(spec.dtype, x.shape[2] as number),
    'tileM' in method ? method.tileM : 'tokens' in method.tiles ? Object.values(method.tiles).join(' ') : 0,
  ]
  if (experts) key.push(...Object.values(experts).map(String))
  const layouts = [x, output, ...(norm ? [norm] : []), ...Object.values(planes)].map(form)
  const program = programs.get(
    [...key, ...layouts, norm !== null, bias !== null, gated, accumulate, activation, combine],
    () => build(spec, method),
  )
  return {
    program,
    grid: gridOf(method, experts?.kind === 'tiles' ? tileCount * experts.tileM : rows, outputs),
    scalars,
  }
}

/** what of a tensor specialises a program */
const form = (spec: TensorSpec) => `${spec.dtype}/${alignmentOf(spec)}`

function methodFor(
  { dtype, layout, x, gated, norm }: LinearSpec,
  { kind, info }: { readonly kind: DeviceKind; readonly info: Pick<DeviceInfo, 'tier'> },
  rows: number,
): Method {
  if (layout === 'panels') {
    if (rows <= 16) return { kind: 'few panels', tileM: rows === 1 ? 1 : rows <= 4 ? 4 : 8 }
    return { kind: 'many panels', tiles: { tileM: 64, tileK: 128, panels: gated ? 2 : 4 } }
  }
  if (rows <= fewRows) {
    const tokens = rows === 1 ? 1 : rows <= 4 ? 4 : 8
    const width = x.shape[2] as number
    // wider than the row, invocations would stand by
    const widest = Math.max(32, 2 ** Math.ceil(Math.log2(width)))
    const { outputs, inputs } =
      rows === 1 ? oneRowTiles(info.tier, { gated, norm }, width) : { outputs: 4, inputs: 256 }
    return {
      kind: 'few rows',
      tiles: { outputs, tokens, inputs: Math.min(inputs / placedFormats[dtype].parts, widest) },
    }
  }
  const operand = x.dtype === 'f16' ? 'f16' : 'f32'
  const tiles = matmulTiles({ kind, tier: info.tier, dtypes: [operand, operand], rows })
  return { kind: 'many rows', tiles: tiles.tileN > 128 ? matrixTiles(placedFormats[dtype].parts, gated) : tiles }
}

/**
 * Tiles of a single row, by measurement on an H200 (f16, docs/LOG.md): 2,048 → 3,072 6.0 µs (6.5 with 4 outputs of 1,024
 * inputs), 2,048 → 2 × 8,192 gated 19.3 (27.3), 8,192 → 2,048 11.2 (13.7), 2,048 → 128,256 120 (131);
 * with a norm 2,048 → 3,072 7.2, gated 21.9. Adapters without f16
 * are software, or old: there a program costs more than its multiplications, and fewer programs are faster (a token of
 * books-16m on SwiftShader in Chromium takes 1.5 s of CPU, 3.1 with 4 outputs, 6 with the tiles of the H200).
 */
function oneRowTiles(
  tier: WebgpuTier | null,
  { gated, norm }: Pick<LinearSpec, 'gated' | 'norm'>,
  width: number,
): { outputs: number; inputs: number } {
  if (tier === 0 || tier === 1) return { outputs: 16, inputs: 1024 }
  if (norm) return gated ? { outputs: 1, inputs: 256 } : { outputs: 4, inputs: 2048 }
  if (gated) return { outputs: 1, inputs: 1024 }
  return width > 4096 ? { outputs: 1, inputs: 512 } : { outputs: 2, inputs: 2048 }
}

/** Tiles for matrix units whose operands, of all parts and of gate and up, lie in workgroup memory together. */
function matrixTiles(parts: number, gated: boolean): ReturnType<typeof matmulTiles> {
  const tileK = 32
  const padded = (tileK + 8) * 2
  const sizes = [
    [128, 256],
    [128, 128],
    [128, 64],
  ] as const
  const fits = sizes.find(([tileM, tileN]) => parts * (tileM + (gated ? 2 : 1) * tileN) * padded <= 36_000)
  const [tileM, tileN] = fits ?? [64, 64]
  return { tileM, tileN, tileK }
}

/** Of pairs each row is by itself; of sorted ones a tile of rows meets one matrix. */
function expertMethod(
  spec: LinearSpec,
  { kind, tileM }: ExpertRows,
  device: { readonly kind: DeviceKind; readonly info: Pick<DeviceInfo, 'tier'> },
): Method {
  if (kind !== 'tiles') return methodFor(spec, device, 1)
  if (spec.layout === 'panels') return { kind: 'many panels', tiles: { tileM, tileK: 128, panels: spec.gated ? 2 : 4 } }
  const operand = spec.x.dtype === 'f16' ? 'f16' : 'f32'
  const few = matmulTiles({ kind: device.kind, tier: device.info.tier, dtypes: [operand, operand], rows: 1 })
  const wide = matmulTiles({ kind: device.kind, tier: device.info.tier, dtypes: [operand, operand], rows: 512 })
  if (wide.tileN <= 128) return { kind: 'many rows', tiles: { ...(tileM <= few.tileM ? few : wide), tileM } }
  return { kind: 'many rows', tiles: expertMatrixTiles(placedFormats[spec.dtype].parts, spec.gated, tileM) }
}

/** Tiles for matrix units whose rows are given. */
function expertMatrixTiles(parts: number, gated: boolean, tileM: number): ReturnType<typeof matmulTiles> {
  const fits = ([tileN, tileK]: readonly [number, number]) =>
    parts * (tileM + (gated ? 2 : 1) * tileN) * (tileK + 8) * 2 <= 37_000
  const sizes = [
    [256, 32],
    [128, 32],
    [64, 32],
    [64, 16],
    [32, 32],
  ] as const
  const [tileN, tileK] = sizes.find(fits) ?? [32, 16]
  return { tileM, tileN, tileK }
}

function build(spec: LinearSpec, method: Method): Program {
  switch (method.kind) {
    case 'few panels':
      return fewRowsPanelProgram(spec, method.tileM)
    case 'many panels':
      return manyRowsPanelProgram(spec, method.tiles)
    case 'few rows':
      return fewRowsProgram(spec, method.tiles)
    case 'many rows':
      return manyRowsProgram(spec, method.tiles)
    default:
      return method satisfies never
  }
}

function gridOf(method: Method, rows: number, outputs: number): readonly [number, number, number] {
  switch (method.kind) {
    case 'few panels':
      return [Math.ceil(outputs / panelWidth), Math.ceil(rows / method.tileM), 1]
    case 'many panels':
      return [Math.ceil(outputs / (panelWidth * method.tiles.panels)), Math.ceil(rows / method.tiles.tileM), 1]
    case 'few rows': {
      const [inner, outer] = longAxis(Math.ceil(outputs / method.tiles.outputs))
      return [inner, Math.ceil(rows / method.tiles.tokens), outer]
    }
    case 'many rows':
      return [Math.ceil(outputs / method.tiles.tileN), Math.ceil(rows / method.tiles.tileM), 1]
    default:
      return method satisfies never
  }
}
