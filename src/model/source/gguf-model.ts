import type { ByteSource } from '../files/byte-source.ts'
import { type OpenBeside, wholeGgufs } from '../files/split-gguf.ts'
import type { ResolvedModel } from './resolved-model.ts'

/** A model in one .gguf file, or in the first part of a split one, whose others `openBeside` opens. */
export function ggufModel(source: ByteSource, openBeside: OpenBeside | null = null): ResolvedModel {
  return { kind: 'gguf', name: source.name, source, openBeside }
}

/** Of the names of all files the .gguf file, or the first part of a split one, where there is nothing else. */
export function onlyGguf(names: readonly string[]): string | null {
  const [only, ...others] = wholeGgufs(names)
  return only !== undefined && others.length === 0 && names.every((name) => name.toLowerCase().endsWith('.gguf'))
    ? only
    : null
}
