// @ts-check
/**
 * Packages that a folder of src may import; all others none, so that the engine needs nothing at run time.
 *
 * @type {Record<string, readonly string[]>}
 */
export const runtimePackages = {
  llm: ['hono', '@hono/node-server'],
}
