import { configDefaults, defineConfig } from 'vitest/config'
import { LastLineReporter } from './test/setup/last-line-reporter.ts'
import { relaxedMaddModule } from './test/setup/relaxed-madd-module.ts'
import { namesVulkanDriver } from './test/setup/software-gpu.ts'

// Node 20 has relaxed SIMD behind a flag, which newer versions need not and may not know
const execArgv = WebAssembly.validate(relaxedMaddModule) ? [] : ['--experimental-wasm-relaxed-simd']

// Dawn finds its Vulkan driver by this variable; a machine with a GPU names its own and is left alone
const env = namesVulkanDriver() ? {} : { VK_ICD_FILENAMES: '/usr/lib/chromium/vk_swiftshader_icd.json' }

const conformance = '{src,test}/**/*.conformance.test.ts'
const golden = '{src,test}/**/*.golden.test.ts'
const browser = 'test/{browser,bundlers}/**/*.test.ts'

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
      { extends: true, test: { name: 'browser', include: [browser], testTimeout: 300_000, hookTimeout: 60_000 } },
    ],
  },
})
