/** as serde_json, which Hugging Face's tokenizers and safetensors read their files with */
const maxDepth = 128
/** a text of V8 has at most 2^29 − 24 letters; no file that describes a model comes near */
export const maxJsonBytes = 2 ** 28

/**
 * Parses a JSON file of a model as the programs that write and read them do: with a byte order mark before it, and with
 * `NaN`, `Infinity` and `-Infinity`, which Python's json writes as they stand here. A name that an object has twice keeps
 * its last value, as in Python.
 *
 * Throws `SyntaxError` for what is no JSON, and for brackets more than 128 deep, so that whatever walks the value may recurse.
 */
export function parseJson(text: string): unknown {
  const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  const bare = bareNumbers(json)
  if (bare.length === 0) return JSON.parse(json)
  // a number too large for a float64 is parsed as an infinity; for NaN there is none, so that a string stands for it
  let mark = 'NaN'
  while (json.includes(`"${mark}"`)) mark += 'N'
  let rewritten = ''
  let done = 0
  for (const at of bare) {
    const noNumber = json.charCodeAt(at) === 0x4e
    rewritten += `${json.slice(done, at)}${noNumber ? `"${mark}"` : '1e999'}`
    done = at + (noNumber ? 'NaN' : 'Infinity').length
  }
  return JSON.parse(rewritten + json.slice(done), (_, value) => (value === mark ? Number.NaN : value))
}

/** Where NaN and Infinity stand outside strings. Throws for brackets that are too deep. */
function bareNumbers(json: string): readonly number[] {
  const found: number[] = []
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(json, at)
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxDepth) throw new SyntaxError(`brackets are more than ${maxDepth} deep at ${at}`)
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      case 0x49: // I
        if (json.startsWith('Infinity', at)) found.push(at)
        break
      case 0x4e: // N
        if (json.startsWith('NaN', at)) found.push(at)
        break
    }
  }
  return found
}

/** The index of the quote that closes the string which opens at `start`, or the end of the text. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (code === 0x22) return at
    if (code === 0x5c) at++
  }
  return json.length
}
