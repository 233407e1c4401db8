import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import type { DeviceKind } from '../device/index.ts'
import { FoveaError } from '../ir/error.ts'
import type { Embedder } from '../llm/embed/embedder.ts'
import type { EmbedderOptions, EncoderOptions } from '../llm/embed/embedder-options.ts'
import { openEmbedder } from '../llm/embed/open-embedder.ts'
import { openReranker } from '../llm/embed/open-reranker.ts'
import { type Command, oneOf, parseCommand, wholeNumber } from './command.ts'
import { ProgressBar } from './progress-bar.ts'
import { resolveModel } from './resolve-model.ts'

export const embedCommand: Command = {
  help: [
    'usage: fovea embed --model M [TEXT …] [options]',
    '',
    'Vectors of texts: the words of the command line, or the lines of --file or of the standard input. Each becomes a line of',
    'JSON, a list of numbers. With --query the texts are ranked by how near they are to it instead.',
    '',
    '  -m, --model M       a folder as Hugging Face lays it out, owner/name of the Hub, or a URL',
    '  -f, --file PATH     a text in each line',
    '  --query TEXT        prints a score and the text, the best first: the cosine of the two vectors',
    '  --rerank            the model is a classifier of one label that scores query and text together',
    '  --pooling P         mean, cls or last (what the model says)',
    '  --dimensions N      the first N numbers of each vector',
    '  --prompt TEXT       goes before each text; --prompt-name NAME takes one of the model',
    '  --max-tokens N      most tokens of a text (what the model says, 2,048 at most); --truncate cuts longer ones off',
    '  --batch-tokens N    tokens of a step (2,048)',
    '  --device KIND       webgpu, wasm or interpret (the best at hand); --threads N of WebAssembly',
    '  --ignore-field F    a setting of the model that is to be read past; may be given several times',
  ].join('\n'),
  async run(args) {
    const { values, positionals } = parseCommand(
      'embed',
      args,
      {
        model: { type: 'string', short: 'm' },
        file: { type: 'string', short: 'f' },
        query: { type: 'string' },
        rerank: { type: 'boolean', default: false },
        pooling: { type: 'string' },
        dimensions: { type: 'string' },
        prompt: { type: 'string' },
        'prompt-name': { type: 'string' },
        'max-tokens': { type: 'string' },
        'batch-tokens': { type: 'string' },
        truncate: { type: 'boolean', default: false },
        device: { type: 'string' },
        threads: { type: 'string' },
        'ignore-field': { type: 'string', multiple: true },
      },
      Number.POSITIVE_INFINITY,
    )
    const fault = (message: string) => new FoveaError('argument', 'fovea embed', message)
    if (values.model === undefined) throw fault('which model? --model names a folder or owner/name of the Hub')
    if (values.rerank && values.query === undefined) throw fault('--rerank scores texts for a --query')
    for (const name of ['pooling', 'dimensions', 'prompt', 'prompt-name'] as const)
      if (values.rerank && values[name] !== undefined) throw fault(`--${name} is of vectors, --rerank makes none`)
    const kinds: readonly DeviceKind[] = ['webgpu', 'wasm', 'interpret']
    const count = (name: 'dimensions' | 'max-tokens' | 'batch-tokens' | 'threads') =>
      values[name] === undefined ? undefined : wholeNumber('embed', `--${name}`, values[name])
    const [maxTokens, batchTokens, threads] = [count('max-tokens'), count('batch-tokens'), count('threads')]
    const shared: EncoderOptions = {
      truncate: values.truncate,
      ...(maxTokens !== undefined && { maxTokens }),
      ...(batchTokens !== undefined && { batchTokens }),
      ...(values.device !== undefined && { device: oneOf('embed', '--device', values.device, kinds) }),
      ...(threads !== undefined && { deviceOptions: { wasm: { threads } } }),
      ...(values['ignore-field'] && { ignoreFields: values['ignore-field'] }),
    }
    const model = await resolveModel(values.model)
    const texts = await textsOf(positionals, values.file)
    const bar = new ProgressBar(values.rerank ? 'score' : 'embed', 'texts')
    const onProgress = (done: number, total: number) => bar.update(done, total)
    if (values.rerank) {
      const reranker = await openReranker(model, shared)
      try {
        const scores = await reranker.score(values.query as string, texts, { onProgress })
        bar.clear()
        printRanked(texts, scores)
      } finally {
        await reranker.close()
      }
      return
    }
    const dimensions = count('dimensions')
    const options: EmbedderOptions = {
      ...shared,
      ...(dimensions !== undefined && { dimensions }),
      ...(values.pooling !== undefined && {
        pooling: oneOf('embed', '--pooling', values.pooling, ['mean', 'cls', 'last'] as const),
      }),
      // a cosine is the product of vectors of length 1
      ...(values.query !== undefined && { normalize: true }),
    }
    const embedder = await openEmbedder(model, options)
    try {
      const named = { prompt: values.prompt, promptName: values['prompt-name'] }
      const prompt = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
      const vectors = await embedder.embed(texts, { ...prompt, onProgress })
      bar.clear()
      if (values.query === undefined) for (const vector of vectors) console.log(JSON.stringify([...vector]))
      else printRanked(texts, await cosines(embedder, values.query, vectors))
    } finally {
      await embedder.close()
    }
  },
}

/** The query has the model's prompt for queries, where it has one. */
async function cosines(embedder: Embedder, query: string, vectors: readonly Float32Array[]): Promise<number[]> {
  const [asked] = await embedder.embed([query], embedder.prompts.has('query') ? { promptName: 'query' } : {})
  return vectors.map((vector) => vector.reduce((sum, x, i) => sum + x * (asked?.[i] ?? 0), 0))
}

function printRanked(texts: readonly string[], scores: ArrayLike<number>): void {
  const order = [...texts.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number))
  for (const i of order) console.log(`${(scores[i] as number).toFixed(4).padStart(8)}  ${texts[i]}`)
}

async function textsOf(words: readonly string[], file: string | undefined): Promise<string[]> {
  const where = 'fovea embed'
  if (words.length > 0 && file !== undefined)
    throw new FoveaError('argument', where, 'texts on the command line and --file: choose one')
  if (words.length > 0) return [...words]
  if (file === undefined && process.stdin.isTTY)
    throw new FoveaError('argument', where, 'which texts? words, --file or the standard input')
  const content = await (file === undefined ? readAll(process.stdin) : readFile(file, 'utf8')).catch((cause: Error) => {
    throw new FoveaError('io', where, cause.message, { cause })
  })
  return content.split(/\r?\n/).filter((line) => line !== '')
}
