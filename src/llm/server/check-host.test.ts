import { describe, expect, it } from 'vitest'
import { hostCheck } from './check-host.ts'

const answers = (check: ReturnType<typeof hostCheck>, host: string | null) => {
  try {
    check?.(host)
    return true
  } catch {
    return false
  }
}

describe('the Host of a server on loopback without a key', () => {
  const check = hostCheck('127.0.0.1', false, ['Box.local'])
  it.each([
    'localhost',
    'localhost:8080',
    'LOCALHOST',
    '127.0.0.1:1',
    '[::1]',
    '[::1]:8080',
    'box.local:80',
    'localhost.',
  ])('may be %s', (host) => expect(answers(check, host)).toBe(true))
  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example:8080',
    '',
    '10.0.0.1',
    '[::2]',
    'xlocalhost',
    null,
  ])('may not be %s', (host) => expect(answers(check, host)).toBe(false))
  it('is that of the address that it is bound to, whichever that is', () => {
    expect(answers(hostCheck('127.0.0.5', false, []), '127.0.0.5:80')).toBe(true)
    expect(answers(hostCheck('::1', false, []), '[::1]:80')).toBe(true)
    expect(answers(hostCheck('localhost', false, []), 'evil.example')).toBe(false)
  })
  it('does not matter with a key, elsewhere, or where any is allowed', () => {
    for (const none of [
      hostCheck('127.0.0.1', true, []),
      hostCheck('0.0.0.0', false, []),
      hostCheck('::1', false, ['*']),
    ])
      expect(none).toBeNull()
  })
})
