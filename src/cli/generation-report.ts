import type { GenerationResult } from '../llm/generation.ts'
import type { LocalEngine } from '../llm/local-engine.ts'

/** What a generation took, as lines of text: rates, cache, memory beside what was planned. */
export function generationReport(engine: LocalEngine, { usage, timing, finishReason }: GenerationResult): string {
  const { memory, pages, draftTokens, acceptedTokens } = engine.stats()
  const computed = usage.promptTokens - usage.cachedTokens
  const rate = (tokens: number, ms: number) => (ms > 0 ? (tokens / ms) * 1000 : 0).toFixed(1)
  // the first token comes with the end of prefill
  const decoded = Math.max(0, usage.completionTokens - 1)
  const cached = usage.cachedTokens > 0 ? `, ${usage.cachedTokens} found in the cache` : ''
  const drafts = draftTokens > 0 ? `, ${acceptedTokens} of ${draftTokens} drafted tokens were right` : ''
  const { cacheTokens, cacheFormat } = engine.memory
  return [
    `prefill  ${computed} tokens in ${(timing.prefillMs / 1000).toFixed(2)} s, ${rate(computed, timing.prefillMs)} tokens/s${cached}`,
    `decode   ${usage.completionTokens} tokens, ${rate(decoded, timing.decodeMs)} tokens/s at ${usage.promptTokens} to ${usage.promptTokens + usage.completionTokens} tokens of context${drafts} (${finishReason})`,
    `cache    ${megabytes(engine.memory.cache)} for ${cacheTokens} tokens in ${cacheFormat}, ${pages.used + pages.cached} of ${pages.total} pages hold tokens`,
    `memory   ${megabytes(memory.peak)} at most on the device, ${megabytes(memory.planned)} planned; process ${megabytes(peakResident())} at most`,
  ].join('\n')
}

/** "12.3 MB" */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** The most memory that this process ever had resident, in bytes. */
function peakResident(): number {
  return process.resourceUsage().maxRSS * 1024
}
