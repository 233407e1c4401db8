import { FoveaError } from '../../tile/index.ts'
import { shown } from '../files/shown.ts'
import type { ConfigFields } from './config-fields.ts'
import { isHarmless, isNeutral } from './harmless-fields.ts'

/**
 * Nothing of a configuration is read past in silence: a field that no reader asked for must be one that cannot matter
 * (`harmless-fields.ts`, the architecture's `idle`), say nothing (null, false, 0, 1, "none", "default", or empty), or be
 * among those that the caller wants ignored, by name or path. To be called when the specification has been read.
 *
 * Throws `unsupported` naming file, field and value, and how to open the model all the same.
 */
export function checkUnread(
  config: ConfigFields,
  architecture: string,
  idle: readonly string[] = [],
  ignored: readonly string[] = [],
): void {
  const passes = new Set([...idle, ...ignored])
  for (const { name, path, value } of config.unread()) {
    if (passes.has(name) || passes.has(path) || isHarmless(name, path) || isNeutral(value)) continue
    throw unreadFault(config, path, value, `no setting of ${architecture} that is computed here`)
  }
}

/** The error for a setting that would be read past. */
export function unreadFault(config: Pick<ConfigFields, 'file'>, path: string, value: unknown, why: string): FoveaError {
  return new FoveaError(
    'unsupported',
    'openCheckpoint',
    `${config.file}: ${path} is ${shown(value)}, ${why}; if it cannot matter, open with ignoreFields: ['${path}'] (--ignore-field ${path})`,
  )
}
