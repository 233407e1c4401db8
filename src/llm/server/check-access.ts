import { ApiError } from './api-error.ts'

/**
 * A check of `Authorization: Bearer KEY` that throws 401. Hashes are compared, all of their bytes: how long it takes
 * says nothing of the key.
 */
export async function apiKeyCheck(apiKey: string): Promise<(authorization: string | null) => Promise<void>> {
  const expected = await sha256(apiKey)
  return async (authorization) => {
    const given = authorization?.match(/^Bearer +(\S.*)$/i)?.[1]
    const hash = await sha256(given ?? '')
    let difference = given === undefined ? 1 : 0
    for (let i = 0; i < expected.length; i++) difference |= (expected[i] ?? 0) ^ (hash[i] ?? 0)
    if (difference === 0) return
    const message = given === undefined ? 'an API key is needed: Authorization: Bearer …' : 'the API key is not correct'
    throw new ApiError(401, { message, code: 'invalid_api_key' }, { 'www-authenticate': 'Bearer' })
  }
}

/**
 * Throws 403 for a web page that is not among the allowed origins. Browsers name the page in every request that could
 * do something; without this any page that is open beside a server on loopback could keep it busy.
 */
export function checkOrigin(origin: string | null, allowed: readonly string[]): void {
  if (origin === null || allowed.includes('*') || allowed.includes(origin)) return
  throw new ApiError(403, {
    message: 'this server is not open to web pages of this origin',
    code: 'origin_not_allowed',
  })
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}
