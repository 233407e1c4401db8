import type { Device } from '../../src/device/device.ts'
import { goldenCase } from './golden-case.ts'
import { goldenHooks } from './golden-hooks.ts'
import { attentionFaults, type FloatDType } from './run-attention-case.ts'

export interface SuiteResult {
  /** cases × dtypes that ran */
  readonly ran: number
  /** "name dtype: what is wrong" */
  readonly faults: readonly string[]
}

/** Runs every recorded case on a device, in Node or in a browser; `readCase` gives the bytes of a case's file by name. */
export async function runGoldenSuite(
  device: Device,
  readCase: (name: string) => Promise<Uint8Array>,
  dtypes: readonly FloatDType[] = ['f32', 'f16', 'bf16'],
): Promise<SuiteResult> {
  const faults: string[] = []
  let ran = 0
  for (const name of Object.keys(goldenHooks)) {
    const input = goldenCase(name, await readCase(name))
    for (const dtype of dtypes) {
      const found = await attentionFaults(device, input, dtype).catch((error: unknown) => [String(error)])
      faults.push(...found.map((fault) => `${name} ${dtype}: ${fault}`))
      ran++
    }
  }
  return { ran, faults }
}
