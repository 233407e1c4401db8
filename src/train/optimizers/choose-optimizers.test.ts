import { describe, expect, it } from 'vitest'
import { chooseOptimizers, type OptimizerConfig, optimizerDefaults } from './choose-optimizers.ts'

const matrix = { name: 'layers.0.mlp.up', shape: [8, 4] }
const table = { name: 'tokenEmbedding', shape: [16, 4] }
const vector = { name: 'layers.0.norms.beforeMlp', shape: [4] }

describe('chooseOptimizers', () => {
  it.each(Object.keys(optimizerDefaults).filter((name) => name !== 'others'))('makes %s with defaults', (name) => {
    const chosen = chooseOptimizers({ name } as OptimizerConfig)
    expect(chosen.optimizers[name]?.name).toBe(name)
    expect(chosen.learningRate).toBeGreaterThan(0)
    for (const parameter of [matrix, table, vector])
      expect(chosen.optimizers).toHaveProperty(chosen.rule(parameter).optimizer ?? 'nothing')
  })

  it('gives Muon the matrices of hidden layers, and AdamW the rest at its own rate', () => {
    const { learningRate, rule } = chooseOptimizers({
      name: 'muon',
      learningRate: 0.04,
      weightDecay: 0.2,
      others: { learningRate: 0.01, weightDecay: 0.3, betas: [0.8, 0.9] },
    })
    expect(learningRate).toBe(0.04)
    expect(rule(matrix)).toEqual({ weightDecay: 0.2, optimizer: 'muon' })
    expect(rule(table)).toEqual({ weightDecay: 0.3, learningRateFactor: 0.25, optimizer: 'adamw' })
    expect(rule(vector)).toEqual({ weightDecay: 0, learningRateFactor: 0.25, optimizer: 'adamw' })
  })

  it('decays no vectors, nor what is read element by element', () => {
    const { rule } = chooseOptimizers({ name: 'adamw', weightDecay: 0.3 })
    const bias = { name: 'layers.0.attention.bias', shape: [4, 12], elementwise: true } as const
    expect(rule(bias).weightDecay).toBe(0)
    expect(chooseOptimizers({ name: 'muon' }).rule(bias).optimizer).toBe('adamw')
    expect([matrix, table, vector].map((parameter) => rule(parameter).weightDecay)).toEqual([0.3, 0.3, 0])
  })

  it.each<[unknown, RegExp]>([
    [{ name: 'adam' }, /optimizer: name must be one of sgd, adamw.*, got "adam"/],
    [
      { name: 'adamw', beta1: 0.9, lr: 1 },
      /optimizer adamw: has no field beta1; did you mean betas\?, no field lr; there are name, learningRate, /,
    ],
    [{ name: 'adamw', momentum: 0.9 }, /optimizer adamw: has no field momentum; there are/],
    [{ name: 'adamw', betas: [0.9, 1] }, /betas must be two numbers ≥ 0 and < 1, got \[0.9,1\]/],
    [{ name: 'sgd', learningRate: -1 }, /optimizer sgd: learningRate must be a number > 0, got -1/],
    [{ name: 'muon', adjust: 'none' }, /optimizer muon: adjust must be original or match-rms, got "none"/],
    [{ name: 'muon', others: { momentum: 1 } }, /optimizer muon: others: has no field momentum/],
  ])('refuses %j', (config, message) => {
    expect(() => chooseOptimizers(config as OptimizerConfig)).toThrow(
      expect.objectContaining({ code: 'argument', message: expect.stringMatching(message) }),
    )
  })
})
