import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** A file, what it is given, and how far it is to go on. */
export interface JudgeJob {
  readonly path: string
  readonly ids: readonly number[]
  /** greedy tokens */
  readonly count: number
  readonly text?: string
}

/** What llama.cpp makes of it. */
export interface Judgement {
  /** the most likely token after each of the ids, and by how many nats it is ahead of the second */
  readonly argmax: readonly number[]
  readonly margins: readonly number[]
  readonly greedy: readonly number[]
  readonly textIds: readonly number[]
}

/** Is llama.cpp there? */
export function hasLlamaCpp(): boolean {
  return existsSync(fileURLToPath(new URL('node_modules/node-llama-cpp/package.json', import.meta.url)))
}

/** Texts, and a GGUF file of which only the vocabulary is read. */
export interface TextsJob {
  readonly path: string
  readonly texts: readonly string[]
}

/** The tokens of each text: with special tokens found in it, and with their spellings as plain text. */
export interface TextsJudgement {
  readonly ids: readonly (readonly number[])[]
  readonly plain: readonly (readonly number[])[]
}

export function askLlamaCpp(jobs: readonly JudgeJob[]): Promise<readonly Judgement[]> {
  return ask('llama-cpp-judge.mjs', jobs)
}

/** The same for texts. */
export function askLlamaCppTexts(jobs: readonly TextsJob[]): Promise<readonly TextsJudgement[]> {
  return ask('llama-cpp-texts.mjs', jobs)
}

/** Vectors of texts, with the tokens of each between those that stand around it. */
export interface VectorsJudgement {
  readonly ids: readonly (readonly number[])[]
  readonly vectors: readonly (readonly number[])[]
}

/** The vectors of texts by a GGUF file of an encoder, or of a decoder that gives embeddings. */
export function askLlamaCppVectors(jobs: readonly TextsJob[]): Promise<readonly VectorsJudgement[]> {
  return ask('llama-cpp-embed.mjs', jobs)
}

/** Runs the jobs in a process of its own: native code that aborts takes only that one with it. */
async function ask<T>(name: string, jobs: readonly { readonly path: string }[]): Promise<readonly T[]> {
  const script = fileURLToPath(new URL(name, import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(JSON.stringify(jobs))
  const exit = new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  const [output, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  if (code !== 0) throw new Error(`llama.cpp ended with ${code}: ${complaint}`)
  const results = JSON.parse(output) as (T & { error?: string })[]
  for (const [i, { error }] of results.entries())
    if (error !== undefined) throw new Error(`llama.cpp, ${jobs[i]?.path}: ${error}\n${complaint}`)
  return results
}
