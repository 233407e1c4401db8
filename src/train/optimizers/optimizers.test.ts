import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relativeRms } from '../../../test/numerics/expect-close.ts'
import { randomNumbers } from '../../../test/numerics/random.ts'
import { type Device, openDevice, type Tensor } from '../../device/index.ts'
import { roundTo } from '../../ir/index.ts'
import type { Kernel } from '../../tile/index.ts'
import type { Parameter, ParameterGroup } from '../parameters.ts'
import { adamw } from './adamw.ts'
import { auon } from './auon.ts'
import { lamb } from './lamb.ts'
import { lion } from './lion.ts'
import { muon } from './muon.ts'
import { type Optimizer, type ScratchTensor, stepFields } from './optimizer.ts'
import { sgd } from './sgd.ts'
import { sophia } from './sophia.ts'

type Numbers = Float64Array
type Shape = readonly number[]

/** One parameter in float64, and what its optimiser keeps. */
interface Exact {
  readonly shape: Shape
  readonly w: Numbers
  readonly state: Record<string, Numbers>
}

interface Setting {
  readonly rate: number
  readonly decay: number
  readonly t: number
}

/** An optimiser, and its paper's step over one parameter. */
interface Case {
  readonly name: string
  readonly optimizer: Optimizer
  readonly exact: (parameter: Exact, g: Numbers, setting: Setting) => void
  readonly matrices?: boolean
  /** relative error of weights after four steps (2e-6) */
  readonly bound?: number
}

const norm = (x: Numbers) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0))
const ema = (x: Numbers, y: Numbers, beta: number) => {
  for (let i = 0; i < x.length; i++) x[i] = beta * (x[i] as number) + (1 - beta) * (y[i] as number)
}
const at = (x: Numbers | undefined, i: number) => x?.[i] as number

const adamStep = (beta1: number, beta2: number, eps: number) => (state: Exact['state'], g: Numbers, t: number) => {
  ema(state.m as Numbers, g, beta1)
  ema(
    state.v as Numbers,
    g.map((v) => v * v),
    beta2,
  )
  return g.map((_, i) => at(state.m, i) / (1 - beta1 ** t) / (Math.sqrt(at(state.v, i) / (1 - beta2 ** t)) + eps))
}
const multiply = (a: Numbers, b: Numbers, [m, k, n]: readonly [number, number, number]) => {
  const out = new Float64Array(m * n)
  for (let i = 0; i < m; i++)
    for (let l = 0; l < k; l++)
      for (let j = 0; j < n; j++) out[i * n + j] = at(out, i * n + j) + at(a, i * k + l) * at(b, l * n + j)
  return out
}
const transpose = (x: Numbers, m: number, n: number) =>
  Float64Array.from({ length: m * n }, (_, i) => at(x, (i % m) * n + Math.floor(i / m)))
/** as in Keller Jordan's text: always with the smaller side first */
const orthogonalise = (g: Numbers, m: number, n: number): Numbers => {
  if (m > n) return transpose(orthogonalise(transpose(g, m, n), n, m), n, m)
  const length = Math.max(norm(g), 1e-7)
  let x = g.map((v) => v / length)
  for (let i = 0; i < 5; i++) {
    const gram = multiply(x, transpose(x, m, n), [m, n, m])
    const square = multiply(gram, gram, [m, m, m])
    const inner = multiply(
      gram.map((v, j) => -4.775 * v + 2.0315 * at(square, j)),
      x,
      [m, m, n],
    )
    x = x.map((v, j) => 3.4445 * v + at(inner, j))
  }
  return x
}
const lookAhead = ({ state }: Exact, g: Numbers, mu: number) => {
  ema(state.momentum as Numbers, g, mu)
  return g.map((v, i) => (1 - mu) * v + mu * at(state.momentum, i))
}
const move = (w: Numbers, of: (w: number, i: number) => number) => {
  for (let i = 0; i < w.length; i++) w[i] = of(at(w, i), i)
}

function muonStep(parameter: Exact, g: Numbers, { rate, decay }: Setting): void {
  const [m, n] = parameter.shape as [number, number]
  const o = orthogonalise(lookAhead(parameter, g, 0.95), m, n)
  move(parameter.w, (v, i) => v - rate * decay * v - rate * Math.sqrt(Math.max(1, m / n)) * at(o, i))
}

const cases: readonly Case[] = [
  {
    name: 'sgd with Nesterov momentum',
    optimizer: sgd(),
    exact({ w, state }, g, { rate, decay }) {
      const b = state.momentum as Numbers
      move(w, (v, i) => {
        const d = at(g, i) + decay * v
        b[i] = 0.9 * at(b, i) + d
        return v - rate * (d + 0.9 * at(b, i))
      })
    },
  },
  {
    name: 'sgd without momentum',
    optimizer: sgd({ momentum: 0 }),
    exact: ({ w }, g, { rate, decay }) => move(w, (v, i) => v - rate * (at(g, i) + decay * v)),
  },
  {
    name: 'adamw',
    optimizer: adamw(),
    exact({ w, state }, g, { rate, decay, t }) {
      const u = adamStep(0.9, 0.999, 1e-8)(state, g, t)
      move(w, (v, i) => v - rate * decay * v - rate * at(u, i))
    },
  },
  {
    name: 'lamb',
    optimizer: lamb(),
    exact({ w, state }, g, { rate, decay, t }) {
      const u = adamStep(0.9, 0.999, 1e-6)(state, g, t).map((v, i) => v + decay * at(w, i))
      const ratio = norm(w) > 0 && norm(u) > 0 ? norm(w) / norm(u) : 1
      move(w, (v, i) => v - rate * ratio * at(u, i))
    },
  },
  {
    name: 'lion',
    optimizer: lion(),
    exact({ w, state }, g, { rate, decay }) {
      const m = state.momentum as Numbers
      move(w, (v, i) => v - rate * (Math.sign(0.9 * at(m, i) + 0.1 * at(g, i)) + decay * v))
      ema(m, g, 0.99)
    },
  },
  {
    name: 'sophia',
    optimizer: sophia({ every: 2, gamma: 0.05 }),
    exact({ w, state }, g, { rate, decay }) {
      ema(state.m as Numbers, g, 0.96)
      move(w, (v, i) => {
        const step = at(state.m, i) / Math.max(0.05 * at(state.h, i), 1e-12)
        return v - rate * decay * v - rate * Math.min(1, Math.max(-1, step))
      })
    },
  },
  { name: 'muon', optimizer: muon(), matrices: true, exact: muonStep },
  { name: 'muon in f16', optimizer: muon({ precision: 'f16' }), matrices: true, exact: muonStep, bound: 1e-3 },
  {
    name: 'auon',
    optimizer: auon(),
    matrices: true,
    exact(parameter, g, { rate, decay }) {
      const [m, n] = parameter.shape as [number, number]
      const ahead = lookAhead(parameter, g, 0.95)
      const length = norm(ahead) + 1e-7
      const x = ahead.map((v) => v / length)
      const root = Math.sqrt(x.reduce((sum, v) => sum + Math.cosh(v) ** 2, 0) / x.length) + 1e-8
      move(parameter.w, (v, i) => v - rate * decay * v - ((rate * Math.sqrt(Math.max(1, m / n))) / root) * at(x, i))
    },
  },
]

const seed = 11
const predictions = 24

/** Parameters of a group: odd sizes, more than one chunk, two of one shape. */
const large = (matrices: boolean): Shape[] =>
  matrices
    ? [
        [65, 130],
        [33, 20],
        [20, 33],
        [33, 20],
      ]
    : [[65, 130], [3], [1021], [20, 33]]
const small = (matrices: boolean): Shape[] =>
  matrices
    ? [
        [5, 6],
        [7, 3],
      ]
    : [[5, 6], [7]]

// one of each kind of kernel where kernels are slow to run or to compile
const everywhere = ['adamw', 'lamb', 'muon']

describe.each<[string, () => Promise<Device>, (matrices: boolean) => Shape[], 'f16' | 'bf16', readonly Case[]]>([
  ['wasm', () => openDevice('wasm', { wasm: { threads: 2 } }), large, 'bf16', cases],
  [
    'interpret',
    () => openDevice('interpret', { interpret: { precision: 'real' } }),
    small,
    'bf16',
    cases.filter(({ name }) => everywhere.includes(name)),
  ],
  ['webgpu', () => openDevice('webgpu'), small, 'f16', cases.filter(({ name }) => everywhere.includes(name))],
])('optimisers on %s', (_name, open, shapesFor, dtype, these) => {
  let device: Device
  let kernels: Kernel[]
  beforeAll(async () => {
    device = listening(await open(), (kernel) => kernels.push(kernel))
  })
  afterAll(() => device?.dispose())

  it.each(these)('$name follows its paper', async ({ optimizer, exact, matrices = false, bound = 2e-6 }) => {
    kernels = []
    const shapes = shapesFor(matrices)
    const random = randomNumbers(seed)
    const draw = (n: number, scale: number) => Float64Array.from({ length: n }, () => Math.fround(random() * scale))
    const groups = [
      makeGroup(device, { shapes, dtype, weightDecay: 0.1, learningRateFactor: 1 }),
      makeGroup(device, { shapes: shapes.slice(0, 1), dtype: null, weightDecay: 0, learningRateFactor: 0.25 }),
    ]
    const step = device.zeros([8])
    const runs = groups.map((group) => ({
      group,
      memory: memoryFor(device, optimizer, group, step),
      exact: group.parameters.map(({ shape, weight }): Exact => {
        const w = draw(weight.size, 0.5)
        weight.write(w)
        const state = Object.fromEntries(optimizer.states.map((name) => [name, new Float64Array(w.length)]))
        return { shape, w, state }
      }),
    }))
    const gradients = (scale: number) =>
      runs.map(({ group }) =>
        group.parameters.map(({ gradient }) => {
          const values = draw(gradient.size, scale)
          gradient.write(values)
          return values.map((v) => v / 2)
        }),
      )
    const writeStep = (values: Partial<Record<(typeof stepFields)[number], number>>) =>
      step.write(stepFields.map((field) => values[field] ?? 0))

    for (let t = 1; t <= 4; t++) {
      const learningRate = Math.fround(0.02 / t)
      writeStep({ learningRate, step: t, gradientFactor: 0.5, predictions })
      const { curvature } = optimizer
      if (curvature && (t - 1) % curvature.every === 0) {
        const estimates = gradients(0.4)
        runs.forEach(({ group, memory, exact: parameters }, r) => {
          curvature.enqueue(device, group, memory)
          parameters.forEach(({ state }, p) => {
            const g = estimates[r]?.[p] as Numbers
            ema(
              state.h as Numbers,
              g.map((v) => predictions * v * v),
              0.99,
            )
          })
        })
      }
      const drawn = gradients(t === 3 ? 1e-3 : 1)
      runs.forEach(({ group, memory, exact: parameters }, r) => {
        optimizer.enqueue(device, group, memory)
        const setting = { rate: learningRate * group.learningRateFactor, decay: group.weightDecay, t }
        for (const [p, parameter] of parameters.entries()) exact(parameter, drawn[r]?.[p] as Numbers, setting)
      })
      if (t !== 2) continue
      // a step that is to be skipped changes nothing, whatever its gradients are
      const tensors = runs.flatMap(({ group, memory }) => [
        group.weight,
        ...(group.compute ? [group.compute] : []),
        ...Object.values(memory.states),
      ])
      const before = await Promise.all(tensors.map((tensor) => tensor.readBytes()))
      for (const { group, memory } of runs) {
        group.gradient.write(new Float32Array(group.size).fill(Number.NaN))
        writeStep({ learningRate, step: t + 1, gradientFactor: Number.NaN, skip: 1 })
        optimizer.curvature?.enqueue(device, group, memory)
        optimizer.enqueue(device, group, memory)
        group.gradient.write(new Float32Array(group.size))
      }
      const after = await Promise.all(tensors.map((tensor) => tensor.readBytes()))
      expect(after.every((bytes, i) => Buffer.compare(bytes, before[i] as Uint8Array) === 0)).toBe(true)
    }

    for (const { group, exact: parameters, memory } of runs) {
      for (const [p, parameter] of group.parameters.entries()) {
        const expected = parameters[p] as Exact
        const label = `${parameter.name} [${parameter.shape.join(', ')}], seed ${seed}`
        expect(relativeRms(await parameter.weight.read(), expected.w), label).toBeLessThan(bound)
        for (const [name, values] of Object.entries(expected.state)) {
          const state = (await (memory.states[name] as Tensor).read()).slice(parameter.offset)
          expect(relativeRms(state.slice(0, values.length), values), `${name} of ${label}`).toBeLessThan(2e-6)
        }
      }
      const weights = await group.weight.read()
      if (group.compute) expect([...(await group.compute.read())]).toEqual([...weights].map((v) => roundTo(dtype, v)))
      // gaps between parameters stay as they are
      const covered = new Uint8Array(group.size)
      for (const { offset, weight } of group.parameters) covered.fill(1, offset, offset + weight.size)
      expect(weights.filter((v, i) => v !== 0 && !covered[i])).toHaveLength(0)
    }
    for (const { program } of kernels)
      expect(program.params.filter(({ kind }) => kind === 'tensor').length, program.name).toBeLessThanOrEqual(8)
    // each state is read and written once
    for (const { states } of runs.map(({ memory }) => memory))
      for (const name of Object.keys(states)) {
        const updates = kernels.filter(({ program }) => program.params.some((param) => param.name === name))
        const steps = optimizer.curvature && name === 'h' ? 8 : 5
        expect(updates.length / (runs.length * steps), name).toBeLessThanOrEqual(matrices ? 3 : 1)
      }
  })
})

/** The device, which tells of every kernel. */
function listening(device: Device, tell: (kernel: Kernel) => void): Device {
  return new Proxy(device, {
    get(target, key) {
      if (key === 'run')
        return (kernel: Kernel, tensors: Readonly<Record<string, Tensor>>) => {
          tell(kernel)
          target.run(kernel, tensors)
        }
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A flat group: parameters at odd places, gaps of zeros between them. */
function makeGroup(
  device: Device,
  spec: {
    readonly shapes: readonly Shape[]
    readonly dtype: 'f16' | 'bf16' | null
    readonly weightDecay: number
    readonly learningRateFactor: number
  },
): ParameterGroup {
  const sizes = spec.shapes.map((shape) => shape.reduce((product, size) => product * size, 1))
  const offsets = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size + 3, 0))
  const size = (offsets.at(-1) as number) + (sizes.at(-1) as number) + 5
  const parameters: Parameter[] = []
  const { weightDecay, learningRateFactor, dtype } = spec
  const group = {
    name: 'group',
    size,
    weight: device.zeros([size]),
    gradient: device.zeros([size]),
    compute: dtype && device.zeros([size], dtype),
    parameters,
    weightDecay,
    learningRateFactor,
  }
  for (const [i, shape] of spec.shapes.entries()) {
    const offset = offsets[i] as number
    const view = (tensor: Tensor) => tensor.view({ shape, offset })
    const [weight, gradient, compute] = [view(group.weight), view(group.gradient), view(group.compute ?? group.weight)]
    parameters.push({ name: `p${i}`, shape, weight, gradient, compute, group, offset })
  }
  return group
}

function memoryFor(device: Device, optimizer: Optimizer, group: ParameterGroup, step: Tensor) {
  const nan = ({ shape, dtype = 'f32' }: ScratchTensor) =>
    device.tensor(new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(Number.NaN), shape, dtype)
  return {
    states: Object.fromEntries(optimizer.states.map((name) => [name, device.zeros([group.size])])),
    scratch: Object.fromEntries(
      Object.entries(optimizer.scratch?.(group) ?? {}).map(([name, wanted]) => [name, nan(wanted)]),
    ),
    step,
  }
}
