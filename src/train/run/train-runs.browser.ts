import { noDisk } from '../../model/files/no-disk.browser.ts'
import type * as disk from './train-runs.ts'

export const trainRuns: typeof disk.trainRuns = async () => {
  throw noDisk('trainRuns', 'createTrainer trains step by step')
}
