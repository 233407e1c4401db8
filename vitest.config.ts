import { configDefaults, defineConfig } from 'vitest/config'
import { LastLineReporter } from './test/setup/last-line-reporter.ts'

// the smallest module that uses f32x4.relaxed_madd: Node 20 accepts it only behind a flag
const relaxedMadd = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
])
const execArgv = WebAssembly.validate(relaxedMadd) ? [] : ['--experimental-wasm-relaxed-simd']

// Dawn finds its Vulkan driver by this variable; a machine with a GPU names its own and is left alone
const env = { VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES ?? '/usr/lib/chromium/vk_swiftshader_icd.json' }

const conformance = '{src,test}/**/*.conformance.test.ts'
const golden = '{src,test}/**/*.golden.test.ts'
const browser = 'test/browser/**/*.test.ts'

export default defineConfig({
  test: {
    // Dawn needs a process of its own: its callbacks abort in worker threads that end
    pool: 'forks',
    maxWorkers: 2,
    execArgv,
    env,
    globalSetup: ['test/setup/software-gpu.ts'],
    reporters: ['default', new LastLineReporter()],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{src,test}/**/*.test.ts'],
          exclude: [...configDefaults.exclude, conformance, golden, browser],
          testTimeout: 60_000,
        },
      },
      { extends: true, test: { name: 'golden', include: [golden] } },
      { extends: true, test: { name: 'conformance', include: [conformance], testTimeout: 120_000 } },
    ],
  },
})
