import { FoveaError, isLeaf, isScalar, type Node, type Program } from '../ir/index.ts'
import type { DotNode } from '../ir/node.ts'
import { argumentLayout } from './argument-layout.ts'
import { Barriers } from './barriers.ts'
import { bindTensors } from './bind-tensors.ts'
import type { Tier, WgslCapabilities } from './capabilities.ts'
import { candidateGrids } from './choose-grid.ts'
import type { DotPlan } from './dot-plan.ts'
import type { Emission, SubgroupSizes } from './emission.ts'
import { dotMemory } from './emit-dot.ts'
import { reduceMemory } from './emit-reduce.ts'
import { emitRegion } from './emit-region.ts'
import { scanMemory } from './emit-scan.ts'
import { transposeMemory } from './emit-transpose.ts'
import { isUnsupported } from './fragment-config.ts'
import { lowerFragments } from './fragment-kernel.ts'
import { fusedDots } from './fused-dots.ts'
import type { GridForm } from './grid-form.ts'
import { helperTexts } from './helper-functions.ts'
import { loopAliases } from './loop-aliases.ts'
import { type NodeUses, nodeUses } from './node-uses.ts'
import { slotDeclarations } from './place.ts'
import { planDots } from './plan-dots.ts'
import { programPosition } from './program-position.ts'
import { TextWriter } from './text-writer.ts'
import { chunkCount, rowCount, type ThreadGrid } from './thread-grid.ts'
import type { WgslTuning } from './tuning.ts'
import { valueHomes } from './virtual-values.ts'
import type { WgslKernel } from './wgsl-kernel.ts'
import { layOutMemory, type MemoryLayout, type MemoryRequest } from './workgroup-memory.ts'

export type { TensorArguments } from './argument-layout.ts'
export type { TensorBinding } from './bind-tensors.ts'
export type { SubgroupMatrixConfig, Tier, WgslCapabilities } from './capabilities.ts'
export { foldGrid, type GridForm, gridForm } from './grid-form.ts'
export type { WgslTuning } from './tuning.ts'
export type { WgslKernel } from './wgsl-kernel.ts'

/** shares of the workgroup memory that the operands of dots are planned into, until everything fits */
const shares = [1, 0.8, 0.6, 0.45, 0.3, 0.2, 0.1, 0]

/**
 * Lowers a program to WGSL for a device: to subgroup matrices where the tier has them and they take the program, else tiles
 * live in registers and operands of `dot` pass through workgroup memory. A grid with more workgroups along an axis than the
 * device takes needs the `folded` form. Throws `limit` when it needs more workgroup memory or buffers than the device has.
 */
export function lowerProgram(
  program: Program,
  capabilities: WgslCapabilities,
  tuning: WgslTuning = {},
  form: GridForm = 'plain',
): WgslKernel {
  const notes: string[] = []
  if (capabilities.tier === 3) {
    const kernel = lowerFragments(program, capabilities, form)
    if (!isUnsupported(kernel)) return kernel
    notes.push(`tier 2, as subgroup matrices do not take this program: ${kernel.unsupported}`)
  }
  const uses = nodeUses(program)
  const { virtual, pointwise } = valueHomes(uses)
  const isVirtual = (node: Node) => virtual.has(node) || (isLeaf(node) && node.op !== 'arg')
  const wanted: Tier = capabilities.tier === 3 ? 2 : capabilities.tier
  const multiple = Math.max(32, wanted > 0 ? capabilities.subgroupMaxSize : 32)
  const grids = candidateGrids(uses, isVirtual, Math.min(256, capabilities.maxInvocations), multiple, tuning)
  const halves = wanted >= 2
  const subgroups: SubgroupSizes | null =
    wanted >= 1 ? { min: capabilities.subgroupMinSize, max: capabilities.subgroupMaxSize } : null
  const helpers = new Set<string>()
  const helper = (name: string) => {
    helpers.add(name)
    return name
  }
  const tensors = bindTensors(program, uses, capabilities.maxStorageBuffers, halves, helper)
  const args = argumentLayout(program, form)
  const fused = fusedDots(uses)
  const aliases = loopAliases(uses)
  const planned = planMemory(program, uses, grids, isVirtual, halves, subgroups, capabilities.maxWorkgroupBytes, tuning)
  const { grid, plans, memory } = planned
  const threads = grid.rows * grid.cols

  const name = (node: Node): string => {
    if (node.op === 'result') {
      const arg = node.loop.args[node.at] as Node
      return isScalar(node) ? `${name(arg)}_last` : name(arg)
    }
    const outer = aliases.get(node)
    return outer ? name(outer) : `v${program.ids.get(node)}`
  }
  const w = new TextWriter('  ')
  const emission: Emission = {
    program,
    grid,
    halves,
    args,
    helper,
    bound: tensors.bound,
    isVirtual,
    isPointwise: (node) => pointwise.has(node),
    register: (node, i, j) =>
      isScalar(node) ? name(node) : `${name(node)}${node.rows > 1 ? `r${i}` : ''}${node.cols > 1 ? `c${j}` : ''}`,
    subgroups,
    unroll: tuning.unroll ?? 1,
    barriers: new Barriers(),
    memory: memory.range,
    dotPlan: (dot) => plans.get(dot) as DotPlan,
  }
  emitRegion(emission, w, program.body, {
    uses,
    fused,
    absorbed: new Set([...fused.values()].map(({ dot }) => dot)),
    aliases,
  })

  const argsBinding = tensors.bindings.length
  const body = w.lines
  const uses_ = (text: string) => body.some((line) => line.includes(text))
  const code = [
    ...(halves ? ['enable f16;'] : []),
    ...(subgroups ? ['enable subgroups;', 'diagnostic(off, subgroup_uniformity);'] : []),
    '',
    ...tensors.declarations,
    `@group(0) @binding(${argsBinding}) var<uniform> args: array<vec4<u32>, ${args.vectors}>;`,
    ...(memory.chunks.f32 ? [`var<workgroup> memory: array<vec4<f32>, ${memory.chunks.f32}>;`] : []),
    ...(memory.chunks.f16 ? [`var<workgroup> memory16: array<vec4<f16>, ${memory.chunks.f16}>;`] : []),
    ...(subgroups ? ['var<workgroup> subgroups_numbered: atomic<u32>;'] : []),
    ...(uses_('shared_bound') ? ['var<workgroup> shared_bound: i32;'] : []),
    '',
    ...helperTexts(helpers),
    '',
    ...entryPoint(threads, grid, subgroups, uses, isVirtual, programPosition(form, args)),
    ...body,
    '}',
    '',
  ].join('\n')
  return {
    code,
    entryPoint: 'main',
    workgroupSize: [threads, 1, 1],
    tier: wanted,
    workgroupBytes: memory.bytes,
    bindings: tensors.bindings,
    argsBinding,
    form,
    packArguments: args.pack,
    notes,
  }
}

/** The entry point up to the program's own statements. */
function entryPoint(
  threads: number,
  grid: ThreadGrid,
  subgroups: SubgroupSizes | null,
  uses: NodeUses,
  isVirtual: (node: Node) => boolean,
  position: readonly string[],
): string[] {
  const held = [
    ...uses.values.filter((node) => !isVirtual(node)),
    ...uses.stores,
    ...uses.loops.flatMap((loop) => [...loop.args]),
  ]
  const rows = Math.max(1, ...held.map((node) => rowCount(grid, node)))
  const chunks = Math.max(1, ...held.map((node) => chunkCount(grid, node)))
  const lanes = subgroups
    ? ['  @builtin(subgroup_size) subgroup_size: u32,', '  @builtin(subgroup_invocation_id) lane: u32,']
    : []
  const lines = [
    'let neg_inf = bitcast<f32>(args[0].x);',
    'let pos_inf = bitcast<f32>(args[0].y);',
    'let not_a_number = bitcast<f32>(args[0].z);',
    ...position,
  ]
  if (subgroups)
    lines.push(
      // how lanes map to local indices is open, so invocations are numbered by subgroup and lane
      'if (local_index == 0u) {',
      '  atomicStore(&subgroups_numbered, 0u);',
      '}',
      'workgroupBarrier();',
      'var subgroup_number = 0u;',
      'if (subgroupElect()) {',
      '  subgroup_number = atomicAdd(&subgroups_numbered, 1u);',
      '}',
      // SwiftShader counts wrongly in a kernel without any barrier
      'workgroupBarrier();',
      'let thread = i32(subgroupBroadcastFirst(subgroup_number) * subgroup_size + lane);',
      `let row_lanes = min(${grid.cols}i, i32(subgroup_size));`,
    )
  else lines.push('let thread = i32(local_index);')
  lines.push(
    `let thread_row = thread / ${grid.cols}i;`,
    `let thread_col = thread % ${grid.cols}i;`,
    ...slotDeclarations(grid, rows, chunks),
  )
  return [
    `@compute @workgroup_size(${threads})`,
    'fn main(',
    '  @builtin(workgroup_id) workgroup: vec3<u32>,',
    '  @builtin(local_invocation_index) local_index: u32,',
    ...lanes,
    ') {',
    ...lines.map((line) => `  ${line}`),
  ]
}

/** The first grid on which everything fits into workgroup memory, and what lies where. */
function planMemory(
  program: Program,
  uses: NodeUses,
  grids: readonly ThreadGrid[],
  isVirtual: (node: Node) => boolean,
  halves: boolean,
  subgroups: SubgroupSizes | null,
  bytes: number,
  tuning: WgslTuning,
): { grid: ThreadGrid; plans: ReadonlyMap<DotNode, DotPlan>; memory: MemoryLayout } {
  // the counter of subgroups and a shared loop bound
  const available = bytes - 16
  let least = Number.POSITIVE_INFINITY
  for (const grid of grids) {
    for (const share of shares) {
      const list = planDots({ uses, grid, isVirtual, halves, bytes: available * share, tuning })
      const plans = new Map(list.map((plan) => [plan.dot, plan]))
      const memory = layOutMemory(memoryRequests(uses, grid, isVirtual, subgroups, plans), available)
      if (memory.bytes <= available) return { grid, plans, memory }
      least = Math.min(least, memory.bytes)
    }
  }
  throw new FoveaError(
    'limit',
    program.name,
    `needs ${least + 16} bytes of workgroup memory, the device has ${bytes}; smaller tiles need less`,
  )
}

function memoryRequests(
  uses: NodeUses,
  grid: ThreadGrid,
  isVirtual: (node: Node) => boolean,
  subgroups: SubgroupSizes | null,
  plans: ReadonlyMap<DotNode, DotPlan>,
): MemoryRequest[] {
  const requests: MemoryRequest[] = []
  for (const node of uses.values) {
    if (isVirtual(node)) continue
    if (node.op === 'dot') requests.push(dotMemory(plans.get(node) as DotPlan))
    else if (node.op === 'scan') requests.push(scanMemory(node, grid))
    else if (node.op === 'transpose') requests.push(transposeMemory(node))
    else if (node.op === 'reduce') {
      const request = reduceMemory(node, grid, subgroups)
      if (request) requests.push(request)
    }
  }
  return requests
}
