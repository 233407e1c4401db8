import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

const command = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js')

function fovea(...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    encoding: 'utf8',
    timeout: 50_000,
  })
  return { status, out: stdout, err: stderr }
}

beforeAll(() => {
  if (!existsSync(command)) throw new Error('the command is not built: npm run build')
})

describe('fovea', () => {
  it.each([[[]], [['--help']], [['help']]])('%j lists the commands', (args) => {
    const { status, out, err } = fovea(...args)
    expect([status, err]).toEqual([0, ''])
    for (const name of ['devices', 'show', 'plan', 'bench']) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  it.each(['devices', 'show', 'plan', 'bench'])('%s --help says how', (name) => {
    const { status, out } = fovea(name, '--help')
    expect(status).toBe(0)
    expect(out).toContain(`usage: fovea ${name}`)
  })

  it.each([
    [
      ['nonsense'],
      "fovea: no command 'nonsense'; there are generate, chat, embed, serve, evaluate, export, train, tokenizer, devices, show, plan, bench",
    ],
    [['devices', 'all'], "fovea devices: unexpected argument 'all'"],
    [['show', 'flesh'], /^fovea show: no algorithm 'flesh'; there are flash, split-kv/],
    [['show', 'flash', '--target', 'spirv'], "fovea show: --target must be one of ir, wgsl, wat, got 'spirv'"],
    [['show', 'flash', '--tier', '4'], "fovea show: --tier must be one of 0, 1, 2, 3, got '4'"],
    [['show', 'flash', '--mask', 'casual'], /^fovea show: no mask 'casual'; masks are causal /],
    [
      ['show', 'flash', '--mask', 'window:a'],
      "fovea show: 'window:a' should read window:LEFT[,RIGHT], in whole numbers",
    ],
    [['show', 'flash', '--tokens', '0'], "fovea show: --tokens must be a whole number of at least 1, got '0'"],
    [['show', 'flash', '--bogus'], /^fovea show: Unknown option '--bogus'/],
    [['show', 'matmul', '--mask', 'causal'], 'fovea show: matmul takes no masks and no score functions'],
    [['show', 'flash', '--head-dim', '300'], /^attention: .*256.*\[1, 1024, 8, 300\]/],
    [['plan', 'flash', 'Q3'], "fovea plan: shapes read like B1 H8 Hkv2 T4096 S4096 D64 Dv64, got 'Q3'"],
    [['plan', 'flash', 'H8', 'Hkv3'], /^attention: .*8.*3/],
    [['bench', '--device', 'tpu'], "fovea bench: --device must be one of webgpu, wasm, interpret, got 'tpu'"],
  ])('%j is one line on stderr and exit code 1', (args, message) => {
    const { status, out, err } = fovea(...args)
    expect([status, out]).toEqual([1, ''])
    expect(err.trimEnd().split('\n')).toHaveLength(1)
    if (typeof message === 'string') expect(err.trimEnd()).toBe(message)
    else expect(err.trimEnd()).toMatch(message)
  })
})

describe('fovea devices', () => {
  it('lists every back end, and what openDevice() opens', () => {
    const { status, out } = fovea('devices', '--json')
    expect(status).toBe(0)
    const found = JSON.parse(out) as { kind: string; available: boolean; chosen?: boolean; reason?: string }[]
    expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set(['webgpu', 'wasm', 'interpret']))
    expect(found.filter(({ chosen }) => chosen)).toHaveLength(1)
    for (const { available, reason } of found) expect(available || (reason ?? '').length > 10).toBe(true)
  })

  it('does not choose a software GPU', () => {
    const found = JSON.parse(fovea('devices', '--json').out) as {
      kind: string
      chosen?: boolean
      info?: { name: string }
    }[]
    for (const { kind, chosen, info } of found)
      if (kind === 'webgpu' && info && /swiftshader/i.test(info.name)) expect(chosen).toBe(false)
  })

  it('prints threads and the SIMD level of WebAssembly', () => {
    const { out } = fovea('devices')
    expect(out).toMatch(/^wasm: /m)
    expect(out).toMatch(/threads +\d+/)
    expect(out).toMatch(/simd +(simd|relaxed-simd)/)
  })
})

describe('fovea show', () => {
  it('prints the tile program', () => {
    const { status, out } = fovea('show', 'flash', '--mask', 'causal', '--tokens', '512')
    expect(status).toBe(0)
    expect(out).toMatch(/█/)
    expect(out).toMatch(/tiles of \d+ queries × \d+ keys: \d+\.\d % streamed/)
    expect(out).toMatch(/^program flash\(query: f32\[\?, \?, \?, 64\]/m)
    expect(out).toMatch(/= dot\(/)
  })

  it.each(['0', '1', '2', '3'])('prints WGSL of tier %s', (tier) => {
    const { status, out, err } = fovea('show', 'flash', '--target', 'wgsl', '--tier', tier, '--dtype', 'f16')
    expect([status, err]).toEqual([0, ''])
    expect(out).toContain('@compute')
    expect(out.includes('enable f16;')).toBe(Number(tier) >= 2)
    expect(out.includes('subgroup_matrix')).toBe(tier === '3')
  })

  it('prints WebAssembly text', () => {
    const { status, out } = fovea('show', 'flash', '--target', 'wat')
    expect(status).toBe(0)
    expect(out).toMatch(/^\(module/m)
    expect(out).toContain('f32x4.')
  })

  it('prints two kernels for split-kv, and every algorithm that it lists', () => {
    expect(fovea('show', 'split-kv').out.match(/^program /gm)).toHaveLength(2)
    const names = fovea('show')
      .out.split('\n')
      .flatMap((line) => /^\S+/.exec(line) ?? [])
    expect(names.length).toBeGreaterThan(4)
    for (const name of names) expect(fovea('show', name).out).toContain('program ')
  })

  it('reads masks with and, or and not', () => {
    const density = (mask: string) => {
      const { out } = fovea('show', 'flash', '--map', '--tokens', '4096', '--mask', mask)
      return Number(/([\d.]+) % streamed/.exec(out)?.[1])
    }
    expect(density('causal+window:256')).toBeLessThan(density('causal') / 3)
    expect(density('causal/prefix:2048')).toBeGreaterThan(density('causal') + 10)
    expect(Math.abs(density('!causal') - (100 - density('causal')))).toBeLessThan(6)
  })
})

describe('fovea plan', () => {
  it('counts inputs and outputs to the byte, and nothing that grows with tokens²', () => {
    const plan = (tokens: number) =>
      JSON.parse(fovea('plan', 'flash', `B1 H8 T${tokens} D64`, '--mask', 'causal', '--json').out) as Record<
        string,
        number
      >
    const [short, long] = [plan(4096), plan(16_384)]
    expect(long.inputs).toBe(3 * 16_384 * 8 * 64 * 4)
    expect(long.outputs).toBe(16_384 * 8 * 64 * 4 + 16_384 * 8 * 4)
    expect((long.kept ?? 0) + (long.temporary ?? 0)).toBeLessThan(5 * ((short.kept ?? 0) + (short.temporary ?? 0)) + 1)
    expect((long.kept ?? 0) + (long.temporary ?? 0)).toBeLessThan(1e6)
  })
})

describe('fovea bench', () => {
  it('measures what it has checked', () => {
    const { status, out } = fovea(
      'bench',
      '--device',
      'wasm',
      '--tokens',
      '100',
      '--heads',
      '2',
      '--repeats',
      '2',
      '--json',
    )
    expect(status).toBe(0)
    const trial = JSON.parse(out) as { error: number; bound: number; gigaflops: number }
    expect(trial.error).toBeLessThanOrEqual(trial.bound)
    expect(trial.gigaflops).toBeGreaterThan(0)
  })
})
