import { type Device, type DeviceKind, openDevice } from '../device/index.ts'
import { preparedCheckpoint } from '../llm/open-parts.ts'
import { type MemoryPlan, planEngine } from '../llm/plan-engine.ts'
import type { ModelSource } from '../model/index.ts'
import { parseCommand } from './command.ts'
import { megabytes } from './generation-report.ts'
import { modelOptions, readModelOptions } from './model-options.ts'
import { textTable } from './text-table.ts'

/** `fovea plan --model`: what `openEngine` would allocate, on each device at hand or the one named. */
export async function planModel(args: readonly string[]): Promise<void> {
  const { values } = parseCommand('plan', args, { ...modelOptions, json: { type: 'boolean', default: false } })
  const { model, options } = await readModelOptions('plan', values)
  const kinds: readonly DeviceKind[] = typeof options.device === 'string' ? [options.device] : ['webgpu', 'wasm']
  const plans: [string, MemoryPlan][] = []
  for (const kind of kinds) {
    const device = await openDevice(kind, options.deviceOptions).catch((error: unknown) => {
      // without a GPU the other device still has its plan
      if (kinds.length > 1) return null
      throw error
    })
    if (device) plans.push([kind, await planOn(device, model, options)])
  }
  if (values.json) console.log(JSON.stringify(Object.fromEntries(plans)))
  else console.log(describe(plans))
}

async function planOn(
  device: Device,
  model: ModelSource,
  options: Parameters<typeof planEngine>[2],
): Promise<MemoryPlan> {
  try {
    const checkpoint = await preparedCheckpoint(model, options ?? {})
    try {
      const plan = planEngine(device, checkpoint, options).memory
      const draft = options?.draftModel
      if (!draft) return plan
      const { total } = await planOn(device, draft.model, {
        ...options,
        contextLength: plan.contextLength,
        draftModel: null,
        adapters: [],
      })
      return { ...plan, draft: total, total: plan.total + total }
    } finally {
      await checkpoint.close()
    }
  } finally {
    device.dispose()
  }
}

function describe(plans: readonly [string, MemoryPlan][]): string {
  const row = (label: string, value: (plan: MemoryPlan) => string) => [label, ...plans.map(([, plan]) => value(plan))]
  const bytes = (key: 'weights' | 'cache' | 'workspace' | 'draft' | 'total') => row(key, (plan) => megabytes(plan[key]))
  return textTable([
    ['', ...plans.map(([kind]) => kind)],
    bytes('weights'),
    bytes('cache'),
    bytes('workspace'),
    ...(plans.some(([, { draft }]) => draft > 0) ? [bytes('draft')] : []),
    bytes('total'),
    row('context', ({ contextLength }) => `${contextLength} tokens`),
    row('cache holds', ({ cacheTokens, cacheFormat }) => `${cacheTokens} tokens in ${cacheFormat}`),
    row('at once', ({ maxSequences }) => `${maxSequences} sequences`),
    row('chunks of', ({ chunkSize }) => `${chunkSize} tokens`),
  ])
}
