import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type GpuRow, round } from './gpu-row.ts'
import type { GpuSizes } from './gpu-sizes.ts'

/** One line of `torch-sdpa.py`. */
interface TorchLine {
  readonly system: string
  readonly version: string
  readonly seconds?: number
  readonly error?: string
}

/** PyTorch's attention at the same sizes in a process of its own, with `backward` its gradients too; or one row that says why not. */
export function torchRows(sizes: GpuSizes['dense'], { backward = false } = {}): GpuRow[] {
  const probe = spawnSync('python3', ['-c', 'import torch; assert torch.cuda.is_available()'], { timeout: 60_000 })
  return sizes.flatMap(({ batch, numHeads, tokens, headDim }) => {
    const base = {
      case: `f16 B${batch} H${numHeads} T${tokens} D${headDim} causal${backward ? ', forward + backward' : ''}`,
      unit: 'TFLOP/s',
    } as const
    if (probe.status !== 0)
      return [{ ...base, system: 'PyTorch SDPA', error: 'not run: python3 has no torch with CUDA here' }]
    return torchLines([batch, numHeads, tokens, headDim, ...(backward ? ['backward'] : [])]).map(
      ({ system, version, seconds, error }): GpuRow => {
        if (seconds === undefined) return { ...base, system, version, error: error ?? 'no time' }
        const operations = (backward ? 3.5 : 1) * 2 * batch * numHeads * tokens * tokens * headDim
        return { ...base, system, version, rate: round(operations / seconds / 1e12), medianMs: round(seconds * 1000) }
      },
    )
  })
}

function torchLines(request: readonly (number | string)[]): TorchLine[] {
  const script = join(import.meta.dirname, '..', 'peers', 'torch-sdpa.py')
  const { stdout, status, stderr } = spawnSync('python3', [script, ...request.map(String)], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  if (status !== 0) throw new Error(`torch-sdpa.py: ${stderr?.trim().split('\n').at(-1) ?? status}`)
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as TorchLine)
}
