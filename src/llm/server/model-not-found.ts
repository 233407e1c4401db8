import { ApiError } from './api-error.ts'

/** 404 for a name that is not the model's. */
export function modelNotFound(name: string): ApiError {
  const message = `there is no model '${name.slice(0, 100)}'`
  return new ApiError(404, { message, param: 'model', code: 'model_not_found' })
}
