import type { AttentionVariant } from '../../src/train/index.ts'

export const learned: AttentionVariant<'temperature'> = {
  name: 'learned temperature',
  parameters: { temperature: { shape: ({ numHeads }) => [numHeads], initial: 1 } },
  change: (_layer, _constant, { temperature }) => ({ scoreMod: ({ score, head }) => score.mul(temperature.at(head)) }),
}
