import { ApiError } from './api-error.ts'

const loopback = ['localhost', '127.0.0.1', '[::1]']

/**
 * A check of the header Host that throws 403; null where none is needed. A page whose name is made to lead to this machine
 * (DNS rebinding) is of the same origin as the server to its browser, which then says nothing of it: only Host still has the
 * page's name. A server that is bound to loopback and wants no key therefore answers to the names of loopback, to that which it
 * is bound to and to `allowed` ones ('*' for any); their ports do not matter.
 */
export function hostCheck(
  bound: string,
  hasKey: boolean,
  allowed: readonly string[],
): ((host: string | null) => void) | null {
  const own = bound.includes(':') ? `[${bound}]` : bound
  const isLoopback = loopback.includes(own.toLowerCase()) || /^127(?:\.\d{1,3}){3}$/.test(own)
  if (hasKey || !isLoopback || allowed.includes('*')) return null
  const names = new Set([...loopback, own, ...allowed].map(nameOf))
  return (host) => {
    if (host !== null && names.has(nameOf(host))) return
    throw new ApiError(403, {
      message: 'this server does not answer to that Host; its owner can allow it (allowedHosts, --allowed-host)',
      code: 'host_not_allowed',
    })
  }
}

/** A name without its port, in small letters; what stands in brackets has colons of its own. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}
