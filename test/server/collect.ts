/** What an iterable gives, as a list. */
export async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const each of iterable) list.push(each)
  return list
}
