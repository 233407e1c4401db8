import type { Width } from './value-type.ts'

/**
 * A WGSL function that rendered text may call. The templates are written for both widths: F, U, I, B stand for f32, u32, i32
 * and bool, or vectors of four of them, and a name's trailing # for the width.
 */
interface Helper {
  readonly text: string
  readonly needs?: readonly string[]
}

/**
 * Bits of f16 and bf16 are made with integer arithmetic: pack2x16float leaves rounding and overflow open. NaN comes from the
 * arguments, as WGSL folds no constant that is not finite.
 */
const templates: Readonly<Record<string, Helper>> = {
  // Numerical Recipes erfc, and the Maclaurin series near 0
  erf: {
    text: `fn erf#(x: F) -> F {
  let z = abs(x);
  let t = F(1f) / (F(1f) + F(0.5f) * z);
  var p = F(0.17087277f);
  p = fma(p, t, F(-0.82215223f));
  p = fma(p, t, F(1.48851587f));
  p = fma(p, t, F(-1.13520398f));
  p = fma(p, t, F(0.27886807f));
  p = fma(p, t, F(-0.18628806f));
  p = fma(p, t, F(0.09678418f));
  p = fma(p, t, F(0.37409196f));
  p = fma(p, t, F(1.00002368f));
  let far = F(1f) - t * exp(-z * z - F(1.26551223f) + t * p);
  let y = z * z;
  var q = F(-0.00085483f);
  q = fma(q, y, F(0.00522398f));
  q = fma(q, y, F(-0.02686617f));
  q = fma(q, y, F(0.11283792f));
  q = fma(q, y, F(-0.37612639f));
  q = fma(q, y, F(1.12837917f));
  return select(sign(x) * far, x * q, z < F(0.5f));
}`,
  },
  // WGSL's pow is for positive bases
  pow: {
    text: `fn pow#(x: F, y: F) -> F {
  let size = pow(abs(x), y);
  let odd = abs(y - F(2f) * floor(y * F(0.5f))) == F(1f);
  let negative = select(F(bitcast<f32>(args[0].z)), select(size, -size, odd), floor(y) == y);
  return select(select(size, negative, x < F(0f)), F(1f), y == F(0f));
}`,
  },
  toI32x: {
    text: `fn toI32x#(x: F) -> I {
  return select(I(clamp(x, F(-2147483648f), F(2147483520f))), I(2147483647i), x >= F(2147483648f));
}`,
  },
  toU32x: {
    text: `fn toU32x#(x: F) -> U {
  return select(U(clamp(x, F(0f), F(4294967040f))), U(4294967295u), x >= F(4294967296f));
}`,
  },
  // subnormals: adding 0.5 rounds at 2^-24
  halfBits: {
    text: `fn halfBits#(x: F) -> U {
  let bits = bitcast<U>(x);
  let size = bits & U(0x7fffffffu);
  let normal = (size - U(0x37fff001u) + ((size >> U(13u)) & U(1u))) >> U(13u);
  let small = bitcast<U>(bitcast<F>(size) + F(0.5f)) - U(0x3f000000u);
  let finite = select(normal, small, size < U(0x38800000u));
  let special = select(U(0x7c00u), U(0x7e00u), size > U(0x7f800000u));
  return ((bits >> U(16u)) & U(0x8000u)) | select(finite, special, size >= U(0x477ff000u));
}`,
  },
  bfloatBits: {
    text: `fn bfloatBits#(x: F) -> U {
  let bits = bitcast<U>(x);
  let rounded = (bits + U(0x7fffu) + ((bits >> U(16u)) & U(1u))) >> U(16u);
  return select(rounded, U(0x7fc0u), (bits & U(0x7fffffffu)) > U(0x7f800000u));
}`,
  },
  roundBfloat: {
    text: `fn roundBfloat#(x: F) -> F {
  return bitcast<F>(bfloatBits#(x) << U(16u));
}`,
    needs: ['bfloatBits#'],
  },
}

const special: Readonly<Record<string, Helper>> = {
  roundHalf1: {
    text: `fn roundHalf1(x: f32) -> f32 {
  return unpack2x16float(halfBits1(x)).x;
}`,
    needs: ['halfBits1'],
  },
  roundHalf4: {
    text: `fn roundHalf4(x: vec4<f32>) -> vec4<f32> {
  let bits = halfBits4(x);
  return vec4<f32>(unpack2x16float(bits.x | (bits.y << 16u)), unpack2x16float(bits.z | (bits.w << 16u)));
}`,
    needs: ['halfBits4'],
  },
}

function instantiate(template: string, width: Width): string {
  const types = { F: 'f32', U: 'u32', I: 'i32', B: 'bool' } as const
  return template
    .replace(/\b[FUIB]\b/g, (letter) => {
      const element = types[letter as keyof typeof types]
      return width === 4 ? `vec4<${element}>` : element
    })
    .replaceAll('#', `${width}`)
}

/** The texts of the named helpers and of those that they call. */
export function helperTexts(names: Iterable<string>): string[] {
  const texts = new Map<string, string>()
  const add = (name: string) => {
    if (texts.has(name)) return
    const width: Width = name.endsWith('4') ? 4 : 1
    const helper = special[name] ?? templates[name.slice(0, -1)]
    if (!helper) throw new Error(`helperTexts: no helper ${name}`)
    texts.set(name, instantiate(helper.text, width))
    for (const need of helper.needs ?? []) add(need.replace('#', `${width}`))
  }
  for (const name of names) add(name)
  return [...texts.values()]
}
