import type { PatternProgram, PatternStep } from './compile-pattern.ts'
import { FailureMemo } from './failure-memo.ts'
import { PatternFault } from './parse-pattern.ts'

/** what lies on the stack: what to try when the present way fails */
const [alternative, shorter, shorterOnce, left, pass] = [0, 1, 2, 3, 4]

/**
 * Looks for a program in one text, from the left, and takes the first way that fits, as Perl, Oniguruma and JavaScript
 * do: by going back to the last choice. Where a step has failed is remembered for the rest of the text, so that nothing
 * is tried twice at a place: time is linear in the text, but for looks ahead that succeed again and again, and groups that give
 * nothing back. For these the steps are counted, and the search given up (a PatternFault) beyond a multiple of the text.
 */
export class PatternMatcher {
  readonly text: string
  readonly #program: PatternProgram
  readonly #memo: FailureMemo
  /** for each memo of a run without limit: [from, to] where it has failed last */
  readonly #failedFrom: Int32Array
  readonly #failedTo: Int32Array
  readonly #stack: number[] = []
  readonly #passes: Int32Array
  #left: number

  constructor(program: PatternProgram, text: string) {
    this.text = text
    this.#program = program
    this.#memo = new FailureMemo(program.memos)
    this.#failedFrom = new Int32Array(program.memos).fill(-1)
    this.#failedTo = new Int32Array(program.memos).fill(-2)
    this.#passes = new Int32Array(program.slots).fill(-1)
    this.#left = 100_000 + 200 * text.length
  }

  /** The first match that begins at `from` or after it: where it begins and ends; null for none. */
  next(from: number): { readonly start: number; readonly end: number } | null {
    const { text } = this
    const { starts, allStarts } = this.#program
    this.#memo.forget(from)
    for (let start = from; start <= text.length; start++) {
      const code = text.charCodeAt(start)
      // no match begins within a pair
      if (code >= 0xdc00 && code < 0xe000 && start > from && isHigh(text.charCodeAt(start - 1))) continue
      for (const entry of (code < 128 ? starts[code] : undefined) ?? allStarts) {
        const end = this.#run(entry, start, -1)
        if (end >= 0) return { start, end }
      }
      if ((start & 4095) === 0) this.#memo.forget(start)
    }
    return null
  }

  /** Where a match of these steps from `start` ends, -1 for none; `mustEnd` (-1 for anywhere): only one that ends there. */
  #run(entry: number, start: number, mustEnd: number): number {
    const { text } = this
    const { steps } = this.#program
    const stack = this.#stack
    const base = stack.length
    let pc = entry
    let at = start
    for (;;) {
      if (--this.#left < 0) throw new PatternFault('takes too many steps')
      const step = steps[pc] as PatternStep
      let fails = false
      switch (step.kind) {
        case 'accept':
          if (mustEnd < 0 || at === mustEnd) {
            this.#leave(base)
            return at
          }
          fails = true
          break
        case 'set': {
          const size = sizeAt(step.set, text, at)
          fails = size === 0
          at += size
          pc = step.next
          break
        }
        case 'run': {
          const end = this.#runOfSet(step, pc, at, mustEnd)
          fails = end < 0
          at = end
          pc = step.next
          break
        }
        case 'choice':
          if (step.memo >= 0) {
            // looks behind are asked for one end at a time, which the memo does not know
            if (mustEnd < 0 && !this.#memo.enter(step.memo, at)) {
              fails = true
              break
            }
            stack.push(step.memo, at, left)
          }
          stack.push(step.other, at, alternative)
          pc = step.next
          break
        case 'look':
          fails = this.#looks(step, at) === step.negated
          pc = step.next
          break
        case 'atomic':
          at = this.#run(step.inner, at, -1)
          fails = at < 0
          pc = step.next
          break
        case 'start':
          fails = at !== 0
          pc = step.next
          break
        case 'end':
          fails = at !== text.length
          pc = step.next
          break
        case 'pass':
          stack.push(step.slot, this.#passes[step.slot] ?? -1, pass)
          this.#passes[step.slot] = at
          pc = step.next
          break
        case 'passed':
          pc = at === this.#passes[step.slot] ? step.after : step.next
          break
        default:
          step satisfies never
      }
      if (!fails) continue
      const back = this.#back(base)
      if (back === null) return -1
      pc = back
      at = this.#at
    }
  }

  /** where the way that `#back` found goes on */
  #at = 0

  /** The step to go on with after a failure; null when nothing is left to try. */
  #back(base: number): number | null {
    const stack = this.#stack
    while (stack.length > base) {
      const kind = stack.pop()
      if (kind === left) {
        // all that could be done from there has failed, and stays in the memo
        stack.length -= 2
        continue
      }
      if (kind === pass) {
        const before = stack.pop() ?? -1
        this.#passes[stack.pop() ?? 0] = before
        continue
      }
      if (kind === alternative) {
        this.#at = stack.pop() ?? 0
        return stack.pop() ?? 0
      }
      const high = stack.pop() ?? 0
      const low = stack.pop() ?? 0
      const end = stack.pop() ?? 0
      const pc = stack.pop() ?? 0
      const step = this.#program.steps[pc] as PatternStep & { kind: 'run' }
      if (end <= low) {
        if (kind === shorter) {
          // an earlier failure that begins where this one ends is one with it
          const gap = (this.#failedFrom[step.memo] ?? -1) - high
          const joins = gap === 1 || gap === 2
          this.#failedFrom[step.memo] = low
          if (!joins) this.#failedTo[step.memo] = high
        }
        continue
      }
      const before =
        end - (isLow(this.text.charCodeAt(end - 1)) && end - low > 1 && isHigh(this.text.charCodeAt(end - 2)) ? 2 : 1)
      stack.push(pc, before, low, high, kind ?? shorterOnce)
      this.#at = before
      return step.next
    }
    return null
  }

  /** Where the longest run from `at` ends, with shorter ones left to try; -1 for none. */
  #runOfSet(step: PatternStep & { kind: 'run' }, pc: number, at: number, mustEnd: number): number {
    const { text } = this
    const { set, least, most, memo } = step
    const isOpen = most === Number.POSITIVE_INFINITY
    const remembers = memo >= 0 && mustEnd < 0
    if (remembers && !isOpen) {
      if (!this.#memo.enter(memo, at)) return -1
      this.#stack.push(memo, at, left)
    }
    let end = at
    let count = 0
    for (; count < least; count++) {
      const size = sizeAt(set, text, end)
      if (size === 0) return -1
      end += size
    }
    const low = end
    const failedFrom = remembers && isOpen ? (this.#failedFrom[memo] ?? -1) : -1
    const failedTo = remembers && isOpen ? (this.#failedTo[memo] ?? -2) : -2
    if (low >= failedFrom && low <= failedTo) return -1
    let high = low
    for (; count < most; count++) {
      const size = sizeAt(set, text, end)
      if (size === 0) break
      // from there on all has failed before
      if (end + size >= failedFrom && end + size <= failedTo) break
      end += size
      high = end
    }
    this.#left -= (end - at) >> 2
    if (this.#program.steps[step.next]?.kind === 'accept' && mustEnd < 0) return end
    this.#stack.push(pc, end, low, high, remembers && isOpen ? shorter : shorterOnce)
    return end
  }

  #looks({ inner, behind }: PatternStep & { kind: 'look' }, at: number): boolean {
    if (!behind) return this.#run(inner, at, -1) >= 0
    for (let length = behind[0]; length <= behind[1] && length <= at; length++)
      if (this.#run(inner, at - length, at) >= 0) return true
    return false
  }

  /** After a match: what was on the way to it has not failed. */
  #leave(base: number): void {
    const stack = this.#stack
    while (stack.length > base) {
      const kind = stack.pop()
      if (kind === left) {
        const at = stack.pop() ?? 0
        this.#memo.clear(stack.pop() ?? 0, at)
      } else stack.length -= kind === alternative || kind === pass ? 2 : 4
    }
  }
}

const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000

/** How many units the character at `at` has, if it is in the set; 0 otherwise, and at the end. */
function sizeAt(set: { has(code: number): boolean }, text: string, at: number): number {
  if (at >= text.length) return 0
  const code = text.codePointAt(at) ?? 0
  if (!set.has(code)) return 0
  return code > 0xffff ? 2 : 1
}
