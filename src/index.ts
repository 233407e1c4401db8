export {
  type Device,
  type DeviceInfo,
  type DeviceKind,
  type DeviceOptions,
  describeDevice,
  type HostArray,
  openDevice,
  type Tensor,
  type TensorData,
} from './device/index.ts'
export { type ErrorCode, FoveaError } from './ir/error.ts'
