import { ProcessHandle } from './process-handle.ts'
import type { Checked, Finished, Made, Ran, Request } from './system-process.ts'

interface Replies {
  readonly check: Checked
  readonly make: Made
  readonly run: Ran
  readonly finish: Finished
}

/** A process of its own for one system of attention. */
export class SystemHandle extends ProcessHandle<Request, Replies> {
  constructor() {
    super('system-process.ts')
  }
}
