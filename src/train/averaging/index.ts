export { type MovingAverage, type MovingAverageOptions, movingAverage } from './moving-average.ts'
