import { encodeModule } from '../assembler/encode-module.ts'
import { FunctionBuilder } from '../assembler/function-builder.ts'
import { f32x4, i32, op, store } from '../assembler/instruction.ts'
import { multiplyAdd } from '../math/vector-math.ts'

/** What the engine can do. */
export interface WasmFeatures {
  readonly simd: boolean
  /** relaxed SIMD: fused multiply-add */
  readonly relaxed: boolean
  /** shared memory and atomics, and leave to use them */
  readonly threads: boolean
}

/** Asks the engine by validating small modules. */
export function probeFeatures(): WasmFeatures {
  const accepts = (relaxed: boolean, shared: boolean) => {
    const f = new FunctionBuilder('probe', [])
    f.emit(store('v128.store', i32(0), multiplyAdd(relaxed, f32x4(1), f32x4(2), f32x4(3))))
    if (shared) f.emit(store('i32.atomic.store', i32(0), op('i32.add', i32(1), i32(1))))
    return WebAssembly.validate(
      encodeModule({ functions: [f.finish(true)], memory: { shared, minPages: 1, maxPages: 1 } }),
    )
  }
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated
  return {
    simd: accepts(false, false),
    relaxed: accepts(true, false),
    threads: typeof SharedArrayBuffer === 'function' && isolated !== false && accepts(false, true),
  }
}
