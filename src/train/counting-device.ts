import { BackedDevice } from '../device/backed-device.ts'
import type { Device } from '../device/device.ts'
import { idleBackend } from '../device/idle-backend.ts'

/** A device like another that runs nothing and holds nothing, and counts what would be allocated: what a run needs is what it asks of this. */
export function countingDevice(device: Device): Device {
  return new BackedDevice(idleBackend(device))
}
