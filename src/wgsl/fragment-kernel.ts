import type { Node, Program, TensorParam } from '../ir/index.ts'
import { argumentLayout } from './argument-layout.ts'
import type { TensorBinding } from './bind-tensors.ts'
import type { WgslCapabilities } from './capabilities.ts'
import { declareColumns, stagedColumns } from './fragment-columns.ts'
import { fragmentConfig, isUnsupported, type Unsupported } from './fragment-config.ts'
import type { FragmentContext } from './fragment-context.ts'
import { type FragmentLayout, fragmentLayout } from './fragment-layout.ts'
import { emitFragmentRegion } from './fragment-region.ts'
import { fragmentRoles } from './fragment-roles.ts'
import { unsupportedValue } from './fragment-support.ts'
import type { GridForm } from './grid-form.ts'
import { helperTexts } from './helper-functions.ts'
import type { BoundTensor, Lowering } from './lowering.ts'
import { nodeUses } from './node-uses.ts'
import { programPosition } from './program-position.ts'
import { storageFormat } from './storage-format.ts'
import { TextWriter } from './text-writer.ts'
import type { ThreadGrid } from './thread-grid.ts'
import { virtualValues } from './virtual-values.ts'
import type { WgslKernel } from './wgsl-kernel.ts'
import { wideHalves } from './wide-halves.ts'

/**
 * Lowers a program to tensor cores: results of `dot` in fragments dealt to subgroups by rows, operands in padded workgroup
 * memory, read one round ahead; element-wise and row work on the lanes of a row.
 */
export function lowerFragments(
  program: Program,
  capabilities: WgslCapabilities,
  form: GridForm = 'plain',
): WgslKernel | Unsupported {
  const config = fragmentConfig(capabilities)
  if (isUnsupported(config)) return config
  const uses = nodeUses(program)
  const virtual = virtualValues(uses)
  const roles = fragmentRoles(program, uses, virtual)
  if (isUnsupported(roles)) return roles
  const inStep = capabilities.subgroupsInStep ?? false
  const columns = stagedColumns(uses, (node) => virtual.has(node) || roles.late.has(node))
  const layout = fragmentLayout(config, capabilities, uses, roles, columns, inStep)
  if (isUnsupported(layout)) return layout
  const problem = unsupportedValue(uses, roles, layout, (node) => virtual.has(node))
  if (problem) return problem
  if (layout.distribution.invocations > capabilities.maxInvocations)
    return {
      unsupported: `${layout.distribution.invocations} invocations, the device has ${capabilities.maxInvocations}`,
    }

  const helpers = new Set<string>()
  const helper = (name: string) => {
    helpers.add(name)
    return name
  }
  const args = argumentLayout(program, form)
  const tensors = program.params.filter((param) => param.kind === 'tensor')
  if (tensors.length > capabilities.maxStorageBuffers)
    return { unsupported: `${tensors.length} tensors, the device binds ${capabilities.maxStorageBuffers}` }
  const bound = new Map<TensorParam, BoundTensor>()
  for (const param of tensors) {
    const wide = param.dtype === 'f16' && param.access === 'read' && param.alignment >= 8
    const format = wide ? wideHalves : storageFormat(param.dtype, param.alignment, true, 'owned', helper)
    bound.set(param, { buffer: `tensor_${param.name.replace(/\W/g, '_')}`, format })
  }
  const { groupRows } = layout.distribution
  const grid: ThreadGrid = { rows: groupRows * config.M, cols: config.lanesPerRow }
  const l: Lowering = {
    program,
    grid,
    halves: true,
    args,
    helper,
    bound: (tensor) => bound.get(tensor) as BoundTensor,
    isVirtual: (node) => virtual.has(node),
    register: (node, i, j) => registerName(program, node, i, j),
  }
  const w = new TextWriter('  ')
  const c: FragmentContext = { l, w, layout, roles, uses, inStep }
  emitFragmentRegion(c, program.body, null)
  const bindings = tensors.map((param, binding): TensorBinding => {
    return { param, binding, access: param.access === 'read' ? 'read' : 'read_write' }
  })
  const code = [
    ...header(layout),
    ...[...bound.values()].map(
      ({ buffer, format }, at) =>
        `@group(0) @binding(${at}) var<storage, ${bindings[at]?.access}> ${buffer}: array<${format.declared}>;`,
    ),
    `@group(0) @binding(${bindings.length}) var<uniform> args: array<vec4<u32>, ${args.vectors}>;`,
    ...workgroupArrays(layout, inStep),
    ...helperTexts(helpers),
    ...prologue(layout, programPosition(form, args)),
    ...w.lines,
    '}',
    '',
  ].join('\n')
  return {
    code,
    entryPoint: 'main',
    workgroupSize: [layout.distribution.invocations, 1, 1],
    tier: 3,
    workgroupBytes: layout.bytes,
    bindings,
    argsBinding: bindings.length,
    form,
    packArguments: args.pack,
    notes: [describe(layout)],
  }
}

/** How the work is dealt out, for people. */
function describe({ distribution }: FragmentLayout): string {
  const { config, groupRows, groupCols, blocks } = distribution
  const subgroups = `${groupRows} × ${groupCols} subgroups of ${config.subgroupSize}`
  return `matrices ${config.M}×${config.N}×${config.K}, ${subgroups}, ${blocks * config.M} rows each`
}

function registerName(program: Program, node: Node, i: number, j: number): string {
  return `v${program.ids.get(node)}${node.rows > 1 ? `_${i}` : ''}${node.cols > 1 ? `_${j}` : ''}`
}

function header(layout: FragmentLayout): string[] {
  const { M, N, K } = layout.distribution.config
  return [
    'enable f16;',
    'enable subgroups;',
    'enable chromium_experimental_subgroup_matrix;',
    '// loops and branches around matrices are uniform by construction, which the analysis cannot see',
    'diagnostic(off, chromium.subgroup_matrix_uniformity);',
    'diagnostic(off, subgroup_uniformity);',
    `alias Left = subgroup_matrix_left<f16, ${K}, ${M}>;`,
    `alias Right = subgroup_matrix_right<f16, ${N}, ${K}>;`,
    `alias Result = subgroup_matrix_result<f32, ${N}, ${M}>;`,
  ]
}

function workgroupArrays(layout: FragmentLayout, inStep: boolean): string[] {
  const { results, lefts, staged, distribution } = layout
  const subgroups = distribution.groupRows * distribution.groupCols
  return [
    `var<workgroup> results: array<f32, ${subgroups * results.rows * results.stride}>;`,
    ...(lefts ? [`var<workgroup> lefts: array<f16, ${subgroups * lefts.rows * lefts.stride}>;`] : []),
    ...[...staged.values()].map((tile) => `var<workgroup> ${tile.name}: array<f16, ${tile.rows * tile.stride}>;`),
    ...declareColumns(layout.columns),
    ...(inStep ? [] : [`var<workgroup> votes: array<u32, ${subgroups}>;`]),
  ]
}

function prologue(layout: FragmentLayout, position: readonly string[]): string[] {
  const { config, groupRows, groupCols, blocks, invocations } = layout.distribution
  const { M, lanesPerRow } = config
  const lines = [
    `@compute @workgroup_size(${invocations})`,
    'fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local_index: u32,',
    '        @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {',
    ...position.map((line) => `  ${line}`),
    '  let neg_inf = bitcast<f32>(args[0].x);',
    '  let pos_inf = bitcast<f32>(args[0].y);',
    '  let not_a_number = bitcast<f32>(args[0].z);',
    `  let group_row = subgroup / ${groupCols}u;`,
    `  let group_col = subgroup % ${groupCols}u;`,
    `  let lane_row = lane / ${lanesPerRow}u;`,
    `  let lane_col = lane % ${lanesPerRow}u;`,
    `  let block_row = i32(group_row) * ${M}i;`,
    '  let thread_row = block_row + i32(lane_row);',
    `  let thread_col = i32(group_col * ${lanesPerRow}u + lane_col);`,
    '  let col0 = 4i * i32(lane_col);',
  ]
  for (let i = 0; i < blocks; i++) lines.push(`  let row${i} = thread_row + ${i * groupRows * M}i;`)
  const chunks = Math.max(1, Math.ceil(Math.max(...chunkColumns(layout)) / (4 * lanesPerRow)))
  for (let j = 1; j < chunks; j++) lines.push(`  let col${j} = col0 + ${4 * j * lanesPerRow}i;`)
  return lines
}

/** widths of the tiles that lanes may hold */
function chunkColumns(layout: FragmentLayout): number[] {
  return [layout.results.cols, layout.lefts?.cols ?? 0, 256]
}
