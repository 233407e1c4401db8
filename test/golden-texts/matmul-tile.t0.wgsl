
@group(0) @binding(0) var<storage, read> a_data: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b_data: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c_data: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> args: array<vec4<u32>, 5>;
var<workgroup> memory: array<vec4<f32>, 80>;


@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) local_index: u32,
) {
  let neg_inf = bitcast<f32>(args[0].x);
  let pos_inf = bitcast<f32>(args[0].y);
  let not_a_number = bitcast<f32>(args[0].z);
  let program_x = i32(workgroup.x);
  let program_y = i32(workgroup.y);
  let program_z = i32(workgroup.z);
  let thread = i32(local_index);
  let thread_row = thread / 4i;
  let thread_col = thread % 4i;
  let row0 = thread_row;
  let row1 = thread_row + 8i;
  let col0 = 4i * thread_col;
  let v0 = (program_x * 16i);
  let v1r0 = (v0 + row0);
  let v1r1 = (v0 + row1);
  var v4r0c0: vec4<f32> = vec4<f32>(0f);
  var v4r1c0: vec4<f32> = vec4<f32>(0f);
  let bound_0 = 0i;
  let bound_1 = 32i;
  for (var v3 = bound_0; v3 < bound_1; v3 += 8i) {
    var v10r0c0: vec4<f32> = v4r0c0;
    var v10r1c0: vec4<f32> = v4r1c0;
    workgroupBarrier();
    {
      let line_33 = thread / 2i;
      let chunk_34 = thread % 2i;
      let col_35 = 4i * chunk_34;
      let i_36 = (v0 + line_33);
      let ok_37 = u32(i_36) < u32(bitcast<i32>(args[1].y));
      let i_38 = (v3 + 0i) + col_35;
      let ok_39 = (vec4<u32>(u32(i_38)) + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(u32(32i));
      let base_40 = bitcast<i32>(args[1].x);
      let at_41 = base_40 + i_36 * bitcast<i32>(args[1].w) + i_38;
      let ok_42 = (ok_39 & vec4<bool>(ok_37));
      let at_43 = select(vec4<i32>(0i), vec4<i32>(at_41) + vec4<i32>(0i, 1i, 2i, 3i), ok_42);
      let staged_44 = select(vec4<f32>(f32(0)), vec4<f32>(a_data[u32(at_43.x) >> 2u][u32(at_43.x) & 3u], a_data[u32(at_43.y) >> 2u][u32(at_43.y) & 3u], a_data[u32(at_43.z) >> 2u][u32(at_43.z) & 3u], a_data[u32(at_43.w) >> 2u][u32(at_43.w) & 3u]), ok_42);
      memory[0i + line_33 * 3i + chunk_34] = staged_44;
    }
    {
      let line_45 = thread / 4i;
      let chunk_46 = thread % 4i;
      let col_47 = 4i * chunk_46;
      let i_48 = (v3 + line_45);
      let ok_49 = u32(i_48) < u32(32i);
      let i_50 = 0i + col_47;
      let base_51 = bitcast<i32>(args[2].y);
      let at_52 = base_51 + i_48 * bitcast<i32>(args[3].x) + i_50;
      let at_53 = select(0i, at_52, ok_49);
      let staged_54 = select(vec4<f32>(f32(0)), b_data[u32(at_53) >> 2u], ok_49);
      memory[48i + line_45 * 4i + chunk_46] = staged_54;
    }
    workgroupBarrier();
    {
      let a_55 = 0i + row0 * 3i;
      let a_56 = 0i + row1 * 3i;
      let b_57 = 48i + thread_col;
      for (var k = 0i; k < 2i; k += 1i) {
        {
          let a_58 = memory[a_55 + k];
          let a_59 = memory[a_56 + k];
          let b_60 = memory[b_57 + (4i * k + 0i) * 4i + 0i];
          let b_61 = memory[b_57 + (4i * k + 1i) * 4i + 0i];
          let b_62 = memory[b_57 + (4i * k + 2i) * 4i + 0i];
          let b_63 = memory[b_57 + (4i * k + 3i) * 4i + 0i];
          v10r0c0 = fma(vec4<f32>(a_58.x), b_60, v10r0c0);
          v10r1c0 = fma(vec4<f32>(a_59.x), b_60, v10r1c0);
          v10r0c0 = fma(vec4<f32>(a_58.y), b_61, v10r0c0);
          v10r1c0 = fma(vec4<f32>(a_59.y), b_61, v10r1c0);
          v10r0c0 = fma(vec4<f32>(a_58.z), b_62, v10r0c0);
          v10r1c0 = fma(vec4<f32>(a_59.z), b_62, v10r1c0);
          v10r0c0 = fma(vec4<f32>(a_58.w), b_63, v10r0c0);
          v10r1c0 = fma(vec4<f32>(a_59.w), b_63, v10r1c0);
        }
      }
    }
    v4r0c0 = v10r0c0;
    v4r1c0 = v10r1c0;
  }
  {
    let ok_64 = u32(v1r0) < u32(bitcast<i32>(args[3].w));
    let i_65 = 0i + col0;
    let base_66 = bitcast<i32>(args[3].z);
    let at_67 = base_66 + v1r0 * bitcast<i32>(args[4].y) + i_65;
    let out_68 = v4r0c0;
    if (ok_64) {
      c_data[u32(at_67) >> 2u] = out_68;
    }
  }
  {
    let ok_69 = u32(v1r1) < u32(bitcast<i32>(args[3].w));
    let i_70 = 0i + col0;
    let base_71 = bitcast<i32>(args[3].z);
    let at_72 = base_71 + v1r1 * bitcast<i32>(args[4].y) + i_70;
    let out_73 = v4r1c0;
    if (ok_69) {
      c_data[u32(at_72) >> 2u] = out_73;
    }
  }
}
