import { openDevice } from 'fovea'
import { openEngine, planEngine } from 'fovea/llm'
import { blobSource, openCheckpointFromSources } from 'fovea/model'
import { fetchModel } from './fetch-model.js'

const model = '../../models/books-recall-16m.gguf'
const element = (id) => document.getElementById(id)
const form = element('form')

/** the engine that is open, and the choices it was opened for */
let opened = null
/** cancels what is under way */
let stop = null

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  stop = new AbortController()
  element('generate').disabled = true
  element('cancel').disabled = false
  show('trouble', null)
  try {
    await generate(form.elements, stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) show('trouble', error.message)
  } finally {
    element('progress').hidden = true
    element('generate').disabled = false
    element('cancel').disabled = true
  }
})
element('cancel').addEventListener('click', () => stop?.abort())
await isolate()
element('generate').disabled = false

async function generate(fields, signal) {
  element('figures').hidden = true
  element('text').hidden = true
  const { engine, device } = await engineFor(fields, signal)
  const prompt = fields.prompt.value
  const generation = engine.generate({
    prompt,
    maxTokens: fields.tokens.valueAsNumber,
    sampling: { temperature: fields.temperature.valueAsNumber },
    signal,
  })
  progress('reading the text (a GPU compiles its kernels first)')
  generation.onPrefill = (done, total) => progress(`reading the text: ${done} of ${total} tokens`, done / total)
  element('given').textContent = prompt
  element('answer').textContent = ''
  element('text').hidden = false
  for await (const { text } of generation) {
    element('progress').hidden = true
    element('answer').append(text)
  }
  showFigures(await generation.result, engine.stats(), device)
}

/** The engine for what is chosen; the one before is closed when the choice is another. */
async function engineFor(fields, signal) {
  const [file] = fields.file.files
  // small chunks move the progress bar, with small pages short texts that begin alike share theirs
  const options = { contextLength: Number(fields.context.value), maxSequences: 1, chunkSize: 128, pageSize: 16 }
  const key = [fields.device.value, options.contextLength, file?.name, file?.lastModified].join()
  if (opened?.key === key) return opened
  await close()
  progress(`fetching ${file?.name ?? 'books-recall-16m'}`)
  const onProgress = (done, total) =>
    progress(`fetching books-recall-16m: ${megabytes(done)}`, total ? done / total : null)
  const source = file ? blobSource(file) : await fetchModel(model, { signal, onProgress })
  progress('opening the device and placing the weights')
  const device = await openDevice(fields.device.value || undefined)
  try {
    const checkpoint = await openCheckpointFromSources(source)
    options.contextLength = Math.min(options.contextLength, checkpoint.spec.maxPositions)
    // before anything is allocated
    showPlan(planEngine(device, checkpoint, options).memory)
    opened = { key, device, engine: await openEngine(checkpoint, { ...options, device }) }
    return opened
  } catch (error) {
    device.dispose()
    throw error
  }
}

async function close() {
  const before = opened
  opened = null
  await before?.engine.close()
  before?.device.dispose()
}

function showPlan({ weights, cache, workspace, total, contextLength, cacheFormat }) {
  showTable('plan', [
    ['weights', megabytes(weights)],
    [`cache, ${contextLength} tokens in ${cacheFormat}`, megabytes(cache)],
    ['workspace', megabytes(workspace)],
    ['in all', megabytes(total)],
  ])
}

function showFigures({ usage, timing, finishReason }, { memory }, { info }) {
  const read = usage.promptTokens - usage.cachedTokens
  const rate = (tokens, ms) => `${((1000 * tokens) / Math.max(ms, 0.1)).toFixed(1)} tokens/s`
  showTable('figures', [
    ['device', info.name],
    ['text read', `${read} tokens, ${rate(read, timing.prefillMs)}`],
    ['found in the cache', `${usage.cachedTokens} tokens`],
    // the first token comes with the end of reading
    ['written', `${usage.completionTokens} tokens, ${rate(Math.max(0, usage.completionTokens - 1), timing.decodeMs)}`],
    ['ended by', { stop: 'the end of the text', length: 'its length', cancelled: 'you' }[finishReason]],
    ['most memory taken', megabytes(memory.peak)],
  ])
}

function showTable(id, rows) {
  const body = element(id).tBodies[0]
  body.replaceChildren()
  for (const [name, value] of rows) {
    const row = body.insertRow()
    const head = document.createElement('th')
    head.scope = 'row'
    head.textContent = name
    row.append(head)
    row.insertCell().textContent = value
  }
  element(id).hidden = false
}

/** `share` from 0 to 1; null while it is not known. */
function progress(doing, share = null) {
  element('progress').hidden = false
  element('doing').textContent = doing
  if (share === null) element('bar').removeAttribute('value')
  else element('bar').value = share
}

function show(id, text) {
  element(id).textContent = text ?? ''
  element(id).hidden = text === null
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** Without isolation WebAssembly has one thread: where the server does not see to it, a service worker does. */
async function isolate() {
  const workers = navigator.serviceWorker
  if (crossOriginIsolated || !workers || workers.controller) return
  try {
    await workers.register('isolate.js')
    await workers.ready
    location.reload()
    // the page is about to go
    await new Promise(() => {})
  } catch {
    // one thread it is
  }
}
