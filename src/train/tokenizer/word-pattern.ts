/** GPT-2's words (Radford et al., 2019), into which `ByteLevel` with `use_regex` splits a text */
const gptWords = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** the same after `Digits` with `individual_digits`: a digit is a word, and so are the spaces before it */
const singleDigits =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\d| ?(?:(?!\d)\p{N})+| ?[^\s\p{L}\p{N}]+|\s+(?=\d)|\s+(?!\S)|\s+/gu

/**
 * What matches the words of a text one after another; no merge crosses from one into the next. A regular expression of its
 * own for each call, because it remembers where it is.
 */
export function wordPattern(splitDigits: boolean): RegExp {
  return new RegExp(splitDigits ? singleDigits : gptWords)
}
