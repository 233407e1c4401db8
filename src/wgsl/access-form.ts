import { type IndexForm, indexForm, type Node, type TensorParam } from '../ir/index.ts'

/** What is known at compile time of how a load or store walks its tensor. */
export interface AccessForm {
  /** one per dimension */
  readonly forms: readonly IndexForm[]
  /** the last dimension runs along the columns and no other does: four columns are four neighbours */
  readonly contiguous: boolean
  /** and chunks of four columns begin at indices that are multiples of four: one that begins outside is outside */
  readonly quartered: boolean
  /** and at addresses that are */
  readonly aligned: boolean
  /**
   * per dimension: (base + column) >> shift where four neighbouring columns have one value, else null; `stepped` when that is
   * how every index that runs along the columns does
   */
  readonly steps: readonly (StepForm | null)[]
  readonly stepped: boolean
  /** the last size is a multiple of four, so that aligned chunks are inside or outside as a whole */
  readonly whole: boolean
}

/** An index that is the same for four neighbouring columns: scales of blocks of a row are read so. */
export interface StepForm {
  readonly base: Node
  readonly shift: number
}

export function accessForm(tensor: TensorParam, indices: readonly Node[]): AccessForm {
  const forms = indices.map(indexForm)
  const last = forms.at(-1)
  const size = tensor.sizes.at(-1)
  const contiguous =
    last !== undefined &&
    last.kind === 'range' &&
    last.axis === 'cols' &&
    indices.slice(0, -1).every((i) => i.cols === 1)
  const steps = indices.map(stepForm)
  const baseAligned = contiguous && last.kind === 'range' && isMultipleOfFour(last.base)
  return {
    forms,
    contiguous,
    steps,
    stepped: steps.some((step) => step !== null) && indices.every((index, dim) => index.cols === 1 || steps[dim]),
    quartered: baseAligned,
    aligned: baseAligned && tensor.alignment >= 4,
    whole: baseAligned && typeof size === 'number' && size % 4 === 0,
  }
}

/** Is an index inside its dimension wherever rows and columns stay below these ends? */
export function provablyInside(form: IndexForm, size: number | null, rowEnd: number, colEnd: number): boolean {
  if (size === null || form.kind === 'general' || form.base.op !== 'const') return false
  const extent = form.kind === 'uniform' ? 1 : form.axis === 'rows' ? rowEnd : colEnd
  return form.base.value >= 0 && form.base.value + extent <= size
}

function stepForm(index: Node): StepForm | null {
  if (index.op === 'broadcast') return stepForm(index.x)
  if (index.op !== 'binary' || index.fn !== 'shr' || index.b.op !== 'const' || index.dtype !== 'i32') return null
  const form = indexForm(index.a)
  const shift = index.b.value
  if (form.kind !== 'range' || form.axis !== 'cols' || shift < 2 || shift > 31 || !isMultipleOfFour(form.base))
    return null
  return { base: form.base, shift }
}

function isMultipleOfFour(node: Node): boolean {
  if (node.op === 'const') return node.value % 4 === 0
  if (node.op === 'arg') return node.multipleOf % 4 === 0
  if (node.op !== 'binary') return false
  if (node.fn === 'add' || node.fn === 'sub') return isMultipleOfFour(node.a) && isMultipleOfFour(node.b)
  if (node.fn === 'mul') return isMultipleOfFour(node.a) || isMultipleOfFour(node.b)
  return node.fn === 'shl' && node.b.op === 'const' && node.b.value >= 2 && node.b.value < 32
}
