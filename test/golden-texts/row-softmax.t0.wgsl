
@group(0) @binding(0) var<storage, read> x_data: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> output_data: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> args: array<vec4<u32>, 4>;
var<workgroup> memory: array<vec4<f32>, 16>;

fn halfBits4(x: vec4<f32>) -> vec4<u32> {
  let bits = bitcast<vec4<u32>>(x);
  let size = bits & vec4<u32>(0x7fffffffu);
  let normal = (size - vec4<u32>(0x37fff001u) + ((size >> vec4<u32>(13u)) & vec4<u32>(1u))) >> vec4<u32>(13u);
  let small = bitcast<vec4<u32>>(bitcast<vec4<f32>>(size) + vec4<f32>(0.5f)) - vec4<u32>(0x3f000000u);
  let finite = select(normal, small, size < vec4<u32>(0x38800000u));
  let special = select(vec4<u32>(0x7c00u), vec4<u32>(0x7e00u), size > vec4<u32>(0x7f800000u));
  return ((bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u)) | select(finite, special, size >= vec4<u32>(0x477ff000u));
}

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
  let words_5 = x_data[u32(at_4) >> 2u];
  let v2r0c0 = select(vec4<f32>(f32(0)), vec4<f32>(unpack2x16float(words_5.x), unpack2x16float(words_5.y)), ok_0);
  let i_6 = 0i + col1;
  let at_7 = base_2 + v1r0 * bitcast<i32>(args[1].w) + i_6;
  let at_8 = select(0i, at_7, ok_0);
  let words_9 = x_data[u32(at_8) >> 2u];
  let v2r0c1 = select(vec4<f32>(f32(0)), vec4<f32>(unpack2x16float(words_9.x), unpack2x16float(words_9.y)), ok_0);
  let i_10 = 0i + col2;
  let ok_11 = u32(i_10) < u32(40i);
  let at_12 = base_2 + v1r0 * bitcast<i32>(args[1].w) + i_10;
  let ok_13 = ok_0 & ok_11;
  let at_14 = select(0i, at_12, ok_13);
  let words_15 = x_data[u32(at_14) >> 2u];
  let v2r0c2 = select(vec4<f32>(f32(0)), vec4<f32>(unpack2x16float(words_15.x), unpack2x16float(words_15.y)), ok_13);
  let v3r0c0 = v2r0c0;
  let v3r0c1 = v2r0c1;
  let v3r0c2 = v2r0c2;
  let part_16 = max(max(v3r0c0, v3r0c1), select(vec4<f32>(neg_inf), v3r0c2, col2 < 40i));
  let part_17 = max(part_16.xy, part_16.zw);
  var v4r0 = max(part_17.x, part_17.y);
  memory[0i + row0 * 1i + (thread_col >> 2u)][thread_col & 3i] = v4r0;
  workgroupBarrier();
  let at_18 = 0i + row0 * 1i;
  let part_19 = memory[at_18 + 0i];
  let part_20 = part_19;
  let part_21 = max(part_20.xy, part_20.zw);
  v4r0 = max(part_21.x, part_21.y);
  let v5r0c0 = (v3r0c0 - vec4<f32>(v4r0));
  let v5r0c1 = (v3r0c1 - vec4<f32>(v4r0));
  let v5r0c2 = (v3r0c2 - vec4<f32>(v4r0));
  let v6r0c0 = exp(v5r0c0);
  let v6r0c1 = exp(v5r0c1);
  let v6r0c2 = exp(v5r0c2);
  let part_22 = v6r0c0 + v6r0c1 + select(vec4<f32>(0f), v6r0c2, col2 < 40i);
  let part_23 = part_22.xy + part_22.zw;
  var v7r0 = part_23.x + part_23.y;
  memory[8i + row0 * 1i + (thread_col >> 2u)][thread_col & 3i] = v7r0;
  workgroupBarrier();
  let at_24 = 8i + row0 * 1i;
  let part_25 = memory[at_24 + 0i];
  let part_26 = part_25;
  let part_27 = part_26.xy + part_26.zw;
  v7r0 = part_27.x + part_27.y;
  let v8r0c0 = (v6r0c0 / vec4<f32>(v7r0));
  let v8r0c1 = (v6r0c1 / vec4<f32>(v7r0));
  let v8r0c2 = (v6r0c2 / vec4<f32>(v7r0));
  {
    let ok_28 = u32(v1r0) < u32(bitcast<i32>(args[2].z));
    let base_29 = bitcast<i32>(args[2].y);
    let at_30 = base_29 + v1r0 * bitcast<i32>(args[3].x) + i_1;
    let out_31 = v8r0c0;
    if (ok_28) {
      let bits_32 = halfBits4(out_31);
      output_data[u32(at_30) >> 2u] = vec2<u32>(bits_32.x | (bits_32.y << 16u), bits_32.z | (bits_32.w << 16u));
    }
  }
  {
    let ok_33 = u32(v1r0) < u32(bitcast<i32>(args[2].z));
    let base_34 = bitcast<i32>(args[2].y);
    let at_35 = base_34 + v1r0 * bitcast<i32>(args[3].x) + i_6;
    let out_36 = v8r0c1;
    if (ok_33) {
      let bits_37 = halfBits4(out_36);
      output_data[u32(at_35) >> 2u] = vec2<u32>(bits_37.x | (bits_37.y << 16u), bits_37.z | (bits_37.w << 16u));
    }
  }
  {
    let ok_38 = u32(v1r0) < u32(bitcast<i32>(args[2].z));
    let base_39 = bitcast<i32>(args[2].y);
    let at_40 = base_39 + v1r0 * bitcast<i32>(args[3].x) + i_10;
    let ok_41 = ok_38 & ok_11;
    let out_42 = v8r0c2;
    if (col2 < 40i && ok_41) {
      let bits_43 = halfBits4(out_42);
      output_data[u32(at_40) >> 2u] = vec2<u32>(bits_43.x | (bits_43.y << 16u), bits_43.z | (bits_43.w << 16u));
    }
  }
}
