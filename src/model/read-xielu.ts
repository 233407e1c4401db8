import type { XieluNumbers } from '../nn/xielu.ts'
import type { WeightSource } from './checkpoint.ts'

/** The four numbers of an xIELU as Apertus keeps them: both slopes as what softplus takes, the negative one beyond beta. */
export async function readXielu(checkpoint: WeightSource, mlp: string): Promise<XieluNumbers> {
  const number = async (name: string) => (await checkpoint.vector(`${mlp}.xielu.${name}`))[0] ?? 0
  const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
  const beta = await number('beta')
  return {
    positive: softplus(await number('alphaP')),
    negative: beta + softplus(await number('alphaN')),
    beta,
    eps: await number('eps'),
  }
}
