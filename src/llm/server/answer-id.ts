/** An id that no other answer has. */
export function answerId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll('-', '')
}
