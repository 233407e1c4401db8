/** A value of a file as an error prints it: JSON, cut short; integers beyond ±2^53 as their digits. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner)) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
