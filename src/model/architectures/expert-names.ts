import type { LayerSpec } from '../decoder-spec.ts'
import type { RowsOfTensor, StoredWeight, WeightNames } from './architecture.ts'

const experts = ({ mixture }: LayerSpec) => mixture?.experts ?? 0

/** Experts that a file keeps a tensor each: `each` with "E" for the expert, and what its three matrices are called. */
export function separateExperts(
  each: string,
  { gate, up, down }: { readonly gate: string; readonly up: string; readonly down: string } = llamaParts,
): WeightNames {
  const named = (part: string): StoredWeight => ({ tensor: `${each}.${part}`, each: experts })
  return {
    'layers.N.mixture.experts.gate': named(gate),
    'layers.N.mixture.experts.up': named(up),
    'layers.N.mixture.experts.down': named(down),
  }
}

/** What Llama calls the matrices of an MLP, and what Mixtral does. */
const llamaParts = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' }
export const mixtralParts = { gate: 'w1', up: 'w3', down: 'w2' }

export interface FusedExperts {
  /** name of the tensor of all gates and ups [E, 2I, C], and of that of all downs [E, C, I] */
  readonly gateUp: string
  readonly down: string
  /** their matrices are stored [inputs, outputs] */
  readonly transposed?: boolean
  /** the names have no `.weight` behind them */
  readonly bare?: boolean
  /** rows of gate and up take turns (gpt-oss), else gates come first */
  readonly interleaved?: boolean
}

/** Experts that a file keeps all in one tensor of gates and ups, and one of downs. */
export function fusedExperts(files: FusedExperts): WeightNames {
  const { gateUp, down, transposed = false, bare = false, interleaved = false } = files
  const part =
    (which: 0 | 1) =>
    (layer: LayerSpec): RowsOfTensor => {
      const size = layer.mixture?.size ?? 0
      return {
        rows: 2 * experts(layer) * size,
        rowOf(row) {
          const [expert, within] = [Math.floor(row / size), row % size]
          return 2 * expert * size + (interleaved ? 2 * within + which : which * size + within)
        },
      }
    }
  return {
    'layers.N.mixture.experts.gate': { tensor: gateUp, part: part(0), transposed, bare },
    'layers.N.mixture.experts.up': { tensor: gateUp, part: part(1), transposed, bare },
    'layers.N.mixture.experts.down': { tensor: down, transposed, bare },
  }
}

/** A shared expert whose matrices are called as those of Llama's MLP. */
export function sharedExpert(prefix: string): WeightNames {
  return {
    'layers.N.mixture.shared.gate': `${prefix}.gate_proj`,
    'layers.N.mixture.shared.up': `${prefix}.up_proj`,
    'layers.N.mixture.shared.down': `${prefix}.down_proj`,
  }
}

/** The router, and the bias of its choices, whose name nothing follows. */
export function routerNames(router: string, selectionBias?: string): WeightNames {
  return {
    'layers.N.mixture.router': router,
    ...(selectionBias && { 'layers.N.mixture.selectionBias': { tensor: selectionBias, bare: true } }),
  }
}
