enable f16;
enable subgroups;
diagnostic(off, subgroup_uniformity);

@group(0) @binding(0) var<storage, read> x_data: array<vec4<f16>>;
@group(0) @binding(1) var<storage, read_write> output_data: array<vec4<f16>>;
@group(0) @binding(2) var<uniform> args: array<vec4<u32>, 4>;
var<workgroup> subgroups_numbered: atomic<u32>;


@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) local_index: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let neg_inf = bitcast<f32>(args[0].x);
  let pos_inf = bitcast<f32>(args[0].y);
  let not_a_number = bitcast<f32>(args[0].z);
  let program_x = i32(workgroup.x);
  let program_y = i32(workgroup.y);
  let program_z = i32(workgroup.z);
  if (local_index == 0u) {
    atomicStore(&subgroups_numbered, 0u);
  }
  workgroupBarrier();
  var subgroup_number = 0u;
  if (subgroupElect()) {
    subgroup_number = atomicAdd(&subgroups_numbered, 1u);
  }
  workgroupBarrier();
  let thread = i32(subgroupBroadcastFirst(subgroup_number) * subgroup_size + lane);
  let row_lanes = min(4i, i32(subgroup_size));
  let thread_row = thread / 4i;
  let thread_col = thread % 4i;
  let row0 = thread_row;
  let col0 = 4i * thread_col;
  let col1 = 4i * thread_col + 16i;
  let col2 = 4i * thread_col + 32i;
  let v0 = (program_x * 8i);
  let v1r0 = (v0 + row0);
  let ok_0 = u32(v1r0) < u32(bitcast<i32>(args[1].y));
  let i_1 = 0i + col0;
  let base_2 = bitcast<i32>(args[1].x);
  let at_3 = base_2 + v1r0 * bitcast<i32>(args[1].w) + i_1;
  let at_4 = select(0i, at_3, ok_0);
  let v2r0c0 = select(vec4<f32>(f32(0)), vec4<f32>(x_data[u32(at_4) >> 2u]), ok_0);
  let i_5 = 0i + col1;
  let at_6 = base_2 + v1r0 * bitcast<i32>(args[1].w) + i_5;
  let at_7 = select(0i, at_6, ok_0);
  let v2r0c1 = select(vec4<f32>(f32(0)), vec4<f32>(x_data[u32(at_7) >> 2u]), ok_0);
  let i_8 = 0i + col2;
  let ok_9 = u32(i_8) < u32(40i);
  let at_10 = base_2 + v1r0 * bitcast<i32>(args[1].w) + i_8;
  let ok_11 = ok_0 & ok_9;
  let at_12 = select(0i, at_10, ok_11);
  let v2r0c2 = select(vec4<f32>(f32(0)), vec4<f32>(x_data[u32(at_12) >> 2u]), ok_11);
  let v3r0c0 = v2r0c0;
  let v3r0c1 = v2r0c1;
  let v3r0c2 = v2r0c2;
  let part_13 = max(max(v3r0c0, v3r0c1), select(vec4<f32>(neg_inf), v3r0c2, col2 < 40i));
  let part_14 = max(part_13.xy, part_13.zw);
  var v4r0 = max(part_14.x, part_14.y);
  v4r0 = max(v4r0, subgroupShuffleXor(v4r0, 1u));
  v4r0 = max(v4r0, subgroupShuffleXor(v4r0, 2u));
  let v5r0c0 = (v3r0c0 - vec4<f32>(v4r0));
  let v5r0c1 = (v3r0c1 - vec4<f32>(v4r0));
  let v5r0c2 = (v3r0c2 - vec4<f32>(v4r0));
  let v6r0c0 = exp(v5r0c0);
  let v6r0c1 = exp(v5r0c1);
  let v6r0c2 = exp(v5r0c2);
  let part_15 = v6r0c0 + v6r0c1 + select(vec4<f32>(0f), v6r0c2, col2 < 40i);
  let part_16 = part_15.xy + part_15.zw;
  var v7r0 = part_16.x + part_16.y;
  v7r0 = v7r0 + subgroupShuffleXor(v7r0, 1u);
  v7r0 = v7r0 + subgroupShuffleXor(v7r0, 2u);
  let v8r0c0 = (v6r0c0 / vec4<f32>(v7r0));
  let v8r0c1 = (v6r0c1 / vec4<f32>(v7r0));
  let v8r0c2 = (v6r0c2 / vec4<f32>(v7r0));
  {
    let ok_17 = u32(v1r0) < u32(bitcast<i32>(args[2].z));
    let base_18 = bitcast<i32>(args[2].y);
    let at_19 = base_18 + v1r0 * bitcast<i32>(args[3].x) + i_1;
    let out_20 = v8r0c0;
    if (ok_17) {
      output_data[u32(at_19) >> 2u] = vec4<f16>(out_20);
    }
  }
  {
    let ok_21 = u32(v1r0) < u32(bitcast<i32>(args[2].z));
    let base_22 = bitcast<i32>(args[2].y);
    let at_23 = base_22 + v1r0 * bitcast<i32>(args[3].x) + i_5;
    let out_24 = v8r0c1;
    if (ok_21) {
      output_data[u32(at_23) >> 2u] = vec4<f16>(out_24);
    }
  }
  {
    let ok_25 = u32(v1r0) < u32(bitcast<i32>(args[2].z));
    let base_26 = bitcast<i32>(args[2].y);
    let at_27 = base_26 + v1r0 * bitcast<i32>(args[3].x) + i_8;
    let ok_28 = ok_25 & ok_9;
    let out_29 = v8r0c2;
    if (col2 < 40i && ok_28) {
      output_data[u32(at_27) >> 2u] = vec4<f16>(out_29);
    }
  }
}
