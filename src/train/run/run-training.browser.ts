import { noDisk } from '../../model/files/no-disk.browser.ts'
import type * as disk from './run-training.ts'

export const runTraining: typeof disk.runTraining = async () => {
  throw noDisk('runTraining', 'createTrainer trains step by step')
}
