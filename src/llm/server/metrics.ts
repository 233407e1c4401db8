import type { Engine } from '../engine.ts'
import type { GenerationResult } from '../generation.ts'
import { Histogram } from './histogram.ts'

const secondBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const tokenBounds = [0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1]

/** What this server counted, and what its engine did, in Prometheus' text form. */
export class Metrics {
  readonly #requests = new Map<string, number>()
  readonly #queued = new Histogram(secondBounds)
  readonly #firstToken = new Histogram(secondBounds)
  readonly #perToken = new Histogram(tokenBounds)
  readonly #duration = new Histogram(secondBounds)

  /** mean duration of an answer in seconds */
  get meanSeconds(): number {
    return this.#duration.mean
  }

  /** Routes are those of the server's table and methods the known ones: labels stay few. */
  countRequest(route: string, method: string, status: number): void {
    const labels = `route="${route}",method="${method}",status="${status}"`
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1)
  }

  /** An answer that was given completely. */
  observeAnswer(milliseconds: number): void {
    this.#duration.observe(milliseconds / 1000)
  }

  observeGeneration({ timing, usage }: GenerationResult): void {
    this.#queued.observe(timing.queuedMs / 1000)
    this.#firstToken.observe((timing.queuedMs + timing.prefillMs) / 1000)
    if (usage.completionTokens > 1) this.#perToken.observe(timing.decodeMs / 1000 / (usage.completionTokens - 1))
  }

  render(engine: Engine, activeRequests: number): string {
    const { running, waiting, pages, memory, finished, ...totals } = engine.stats()
    const { total, ...states } = pages
    const labelled = (label: string, values: Readonly<Record<string, number>>) =>
      Object.entries(values).map(([name, value]) => [`{${label}="${name}"}`, value] as const)
    const one = (value: number) => [['', value] as const]
    return [
      metric(
        'http_requests_total',
        'counter',
        'answered requests',
        [...this.#requests].map(([key, count]) => [`{${key}}`, count]),
      ),
      metric('http_requests_active', 'gauge', 'requests being read, waiting or being answered', one(activeRequests)),
      metric('generations_running', 'gauge', 'generations in the batch', one(running)),
      metric('generations_waiting', 'gauge', 'generations in the queue', one(waiting)),
      metric('generations_finished_total', 'counter', 'generations that ended, by how', labelled('reason', finished)),
      metric('prompt_tokens_total', 'counter', 'tokens of prompts', one(totals.promptTokens)),
      metric(
        'cached_tokens_total',
        'counter',
        'tokens of prompts that were found in the cache',
        one(totals.cachedTokens),
      ),
      metric('completion_tokens_total', 'counter', 'generated tokens', one(totals.completionTokens)),
      metric('draft_tokens_total', 'counter', 'tokens proposed ahead', one(totals.draftTokens)),
      metric('accepted_tokens_total', 'counter', 'tokens proposed ahead that were right', one(totals.acceptedTokens)),
      metric('steps_total', 'counter', 'runs of the model', one(totals.steps)),
      metric('cache_pages', 'gauge', 'pages of the cache, by state', labelled('state', states)),
      metric('cache_page_capacity', 'gauge', 'pages of the cache', one(total)),
      metric('memory_bytes', 'gauge', 'memory of the engine: planned, allocated, peak', labelled('kind', memory)),
      metric('process_resident_bytes', 'gauge', 'resident memory of the process', one(process.memoryUsage.rss())),
      histogram('queue_seconds', 'from request to start of a generation', this.#queued),
      histogram('time_to_first_token_seconds', 'from request to first token of a generation', this.#firstToken),
      histogram('time_per_output_token_seconds', 'mean time of a token after the first, by generation', this.#perToken),
      histogram('answer_seconds', 'from request to end of its answer', this.#duration),
      '',
    ].join('\n')
  }
}

function metric(name: string, type: string, help: string, samples: readonly (readonly [string, number])[]): string {
  const lines = samples.map(([labels, value]) => `fovea_${name}${labels} ${value}`)
  return [`# HELP fovea_${name} ${help}`, `# TYPE fovea_${name} ${type}`, ...lines].join('\n')
}

function histogram(name: string, help: string, values: Histogram): string {
  return [`# HELP fovea_${name} ${help}`, `# TYPE fovea_${name} histogram`, ...values.lines(`fovea_${name}`)].join('\n')
}
