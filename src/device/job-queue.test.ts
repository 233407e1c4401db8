import { expect, it } from 'vitest'
import { JobQueue } from './job-queue.ts'

/** A queue whose kernels are done when the test says so, in order. */
function queueOf() {
  const log: string[] = []
  const running: { name: string; done: (error: unknown) => void }[] = []
  const queue = new JobQueue(() => {})
  return {
    queue,
    log,
    kernel: (name: string) =>
      queue.run((done) => {
        log.push(name)
        running.push({ name, done })
      }),
    host: (name: string) => queue.host(() => void log.push(name)),
    finish: (error: unknown = null) => running.shift()?.done(error),
  }
}

it('hands kernels over at once, and holds them back only behind work of the host', async () => {
  const { queue, log, kernel, host, finish } = queueOf()
  host('now')
  kernel('a')
  kernel('b')
  queue.after(() => void log.push('freed'))
  host('write')
  kernel('c')
  host('read')
  kernel('d')
  expect(log).toEqual(['now', 'a', 'b'])
  const waited = queue.wait('test').then(() => log.push('waited'))
  finish()
  expect(log).toEqual(['now', 'a', 'b'])
  finish()
  expect(log).toEqual(['now', 'a', 'b', 'write', 'c', 'freed'])
  kernel('e')
  finish()
  expect(log.slice(6)).toEqual(['read', 'd', 'e'])
  expect(queue.idle).toBe(false)
  finish()
  await waited
  expect(log.slice(9)).toEqual(['waited'])
  finish()
  expect(queue.idle).toBe(true)
  host('now')
  expect(log.at(-1)).toBe('now')
})

it('throws what is known at once, and keeps the first of the later errors for the next wait', async () => {
  const { queue, kernel, host, finish, log } = queueOf()
  const refuse = () => {
    throw new RangeError('no room')
  }
  expect(() => queue.run(refuse)).toThrow('no room')
  expect(() => queue.host(refuse)).toThrow('no room')
  expect(queue.idle).toBe(true)
  kernel('a')
  host('write')
  queue.run(refuse)
  kernel('b')
  const first = queue.wait('device.sync')
  finish()
  finish(new Error('b failed'))
  await expect(first).rejects.toThrow('device.sync: no room')
  await queue.wait('device.sync')
  kernel('c')
  finish(new Error('c failed'))
  await expect(queue.wait('device.sync')).rejects.toThrow('device.sync: c failed')
  expect(log).toEqual(['a', 'write', 'b', 'c'])
})

it('rejects every wait when it ends, and begins nothing more', async () => {
  const { queue, kernel, host, finish, log } = queueOf()
  kernel('a')
  host('write')
  kernel('b')
  const waits = [queue.wait('tensor.read'), queue.wait('device.sync')]
  queue.end({ code: 'disposed', message: 'gone' })
  finish(new Error('ended'))
  await expect(waits[0]).rejects.toThrow('tensor.read: gone')
  await expect(waits[1]).rejects.toThrow('device.sync: gone')
  await expect(queue.wait('device.sync')).rejects.toThrow('device.sync: gone')
  expect(log).toEqual(['a'])
})
