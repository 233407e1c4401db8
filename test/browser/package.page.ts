// Runs in the page: the built package, by the names that a user writes.

// not by literals, so that types are checked before anything is built
const [root, attentionPath, masksPath]: string[] = ['fovea', 'fovea/attention', 'fovea/masks']

export interface PackageResult {
  readonly kind: string
  readonly threads: number | null
  readonly output: readonly number[]
  readonly lse: readonly number[]
}

/** Causal attention of two tokens, one head, as the README does it. */
export async function attendByName(data: {
  readonly query: readonly number[]
  readonly key: readonly number[]
  readonly value: readonly number[]
}): Promise<PackageResult> {
  const { openDevice } = (await import(root as string)) as typeof import('../../src/index.ts')
  const { attention } = (await import(attentionPath as string)) as typeof import('../../src/attention/index.ts')
  const { causal } = (await import(masksPath as string)) as typeof import('../../src/attention/masks/index.ts')
  const device = await openDevice()
  const shape = [1, 2, 1, data.query.length / 2]
  const [query, key, value] = [data.query, data.key, data.value].map((numbers) => device.tensor([...numbers], shape))
  if (!query || !key || !value) throw new Error('attendByName: three tensors')
  const { output, lse } = await attention(device, { query, key, value, maskMod: causal })
  const result = {
    kind: device.kind,
    threads: device.info.threads,
    output: [...(await output.read())],
    lse: [...(await lse.read())],
  }
  device.dispose()
  return result
}
