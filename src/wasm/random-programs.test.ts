import fc from 'fast-check'
import { expect, it } from 'vitest'
import { randomProgram } from '../../test/programs/random-program.ts'
import { builds, runOnInterpreter, runOnWasm } from '../../test/wasm/kernel-runner.ts'

it('random programs mean the same as in the interpreter', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1 << 30 }), (seed) => {
      const { program, run } = randomProgram(seed)
      const expected = runOnInterpreter(program, run)
      for (const build of builds) {
        const got = runOnWasm(program, run, build)
        for (const [name, wanted] of Object.entries(expected)) {
          const scale = Math.max(1e-3, ...wanted.map(Math.abs))
          const worst = Math.max(
            ...wanted.map(
              (value, index) =>
                Math.abs(value - (got[name]?.[index] as number)) ||
                (Object.is(value, got[name]?.[index]) || value === got[name]?.[index] ? 0 : Number.POSITIVE_INFINITY),
            ),
          )
          expect(worst / scale, `seed ${seed} ${build.name} ${name}`).toBeLessThan(2e-4)
        }
      }
    }),
    // the same programs in every run; hunt with another seed and more runs
    { numRuns: 100, endOnFailure: true, seed: 20261122 },
  )
})
