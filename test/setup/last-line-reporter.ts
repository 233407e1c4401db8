import type { Reporter, TestCase, TestModule } from 'vitest/node'

/**
 * Prints every skip with its reason and ends the run with one line, `N passed, N failed, N skipped`.
 *
 * A skip without a reason is a failure: `context.skip('reason')` gives one. Where `CI` is set, so is every skip whose
 * reason does not begin with `hardware:`: a back end that can run on any machine is never passed over there.
 */
export class LastLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const passed = tests.filter((test) => test.result().state === 'passed').length
    const skipped = tests.filter((test) => test.result().state === 'skipped')
    // a module that failed to load has no tests, and must not look like none failed
    const brokenModules = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0).length
    const failed = tests.filter((test) => test.result().state === 'failed').length + brokenModules

    for (const [reason, count] of countReasons(skipped)) console.log(`skipped ${count}: ${reason}`)
    const refused = skipped.filter((test) => isRefused(skipReason(test)))
    for (const test of refused)
      console.log(`this skip is a failure: ${test.fullName} (${skipReason(test) ?? 'no reason'})`)
    if (refused.length > 0 || tests.length === 0) process.exitCode = 1
    const line = `${passed} passed, ${failed + refused.length} failed, ${skipped.length - refused.length} skipped`
    // the other reporters and the teardown still write: the last line is written last
    process.once('exit', () => console.log(line))
  }
}

function skipReason(test: TestCase): string | undefined {
  const result = test.result()
  return result.state === 'skipped' ? result.note : undefined
}

function isRefused(reason: string | undefined): boolean {
  // a run of chosen tests (-t) skips the rest by mode, without a note
  if (reason === undefined)
    return !process.argv.some((argument) => argument === '-t' || argument.startsWith('--testNamePattern'))
  return process.env.CI !== undefined && !reason.startsWith('hardware:')
}

function countReasons(skipped: readonly TestCase[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const test of skipped) {
    const reason = skipReason(test) ?? 'no reason given'
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
  return counts
}
